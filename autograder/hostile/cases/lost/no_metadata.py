"""Went through a tool that strips all metadata; the ids are still there.

answers: kv_bytes_per_token kv_cache_bytes
score: kv_bytes_per_token=3 kv_cache_bytes=3
note: -
"""
# %% build
for c in notebook.cells:
    c.metadata.clear()
notebook.metadata.clear()
write()
