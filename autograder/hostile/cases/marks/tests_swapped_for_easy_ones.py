"""Gives the test it fails the name of the test it passes, and the other way round.

score: kv_cache_bytes=3
answers: kv_cache_bytes
note: test_kv_bytes_per_token: .*NotImplementedError
"""
# %% build
for kind in ("test", "hidden"):
    a, b = cell(f"{kind}_kv_bytes_per_token"), cell(f"{kind}_kv_cache_bytes")
    a.source, b.source = b.source, a.source
    a.metadata, b.metadata = b.metadata, a.metadata
    a.metadata.nbgrader.points = 0
write()
