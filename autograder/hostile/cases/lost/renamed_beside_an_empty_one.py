"""Hands in its work under another name, and the untouched release under the right one: the note tells.

answers: kv_bytes_per_token kv_cache_bytes
score: 0
note: there was also
"""
# %% build
from autograder.hostile.bank import release

write(name="03_kv_cache (my solution).ipynb")
write(release())
