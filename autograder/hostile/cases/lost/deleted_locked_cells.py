"""Deletes the set-up, the lead-ins and the tests, keeps its answers.

answers: kv_bytes_per_token kv_cache_bytes
score: kv_bytes_per_token=3 kv_cache_bytes=3
note: -
"""
# %% build
kept = ("kv_bytes_per_token", "kv_cache_bytes")
notebook.cells = [c for c in notebook.cells if c.metadata.get("nbgrader", {}).get("grade_id") in kept]
write()
