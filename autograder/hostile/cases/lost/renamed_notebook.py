"""Hands in "03_kv_cache (1).ipynb", as browsers name a second download.

answers: kv_bytes_per_token kv_cache_bytes
score: kv_bytes_per_token=3 kv_cache_bytes=3
note: is taken for
"""
# %% build
path.rename(folder / "03_kv_cache (1).ipynb")
