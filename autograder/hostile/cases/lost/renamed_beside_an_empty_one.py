"""Hands in its work under another name, and the untouched release under the right one.

answers: kv_bytes_per_token kv_cache_bytes
score: kv_bytes_per_token=3 kv_cache_bytes=3
note: -
"""
# %% build
from autograder.hostile.bank import release

write(name="04_kv_cache (my solution).ipynb")
write(release())
