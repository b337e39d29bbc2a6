"""Moves all tests before the cells that they test, behind an answer that is taken back later.

score: 0
note: test_kv_bytes_per_token: .*524288
"""
# %% kv_bytes_per_token
def kv_bytes_per_token(config, bytes_per=2):
    return 7
# %% build
tests = [c for c in notebook.cells if c.metadata.get("nbgrader", {}).get("grade")]
notebook.cells = tests + [c for c in notebook.cells if c not in tests][::-1]
write()
