"""Hands in 03_kv_cache.IPYNB, as some phones and old systems write it.

answers: kv_bytes_per_token
score: kv_bytes_per_token=3
note: is taken for
"""
# %% build
path.rename(folder / "04_KV_CACHE.IPYNB")
