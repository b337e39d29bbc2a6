"""Deletes the test cells that it would fail.

score: kv_cache_bytes=3
answers: kv_cache_bytes
note: test_kv_bytes_per_token: .*NotImplementedError
"""
# %% build
notebook.cells = [c for c in notebook.cells if not c.metadata.get("nbgrader", {}).get("grade")]
write()
