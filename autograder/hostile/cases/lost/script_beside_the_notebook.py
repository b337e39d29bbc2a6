"""Hands in a .py export of its notebook too, and a helper module that its answer imports in vain.

answers: kv_bytes_per_token kv_cache_bytes
score: kv_bytes_per_token=3 kv_cache_bytes=3
note: was set aside
"""
# %% build
(folder / "03_kv_cache.py").write_text("print(1)\n")
