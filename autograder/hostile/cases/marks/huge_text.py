"""Returns and raises texts of 200 MB.

score: kv_cache_bytes=3
answers: kv_cache_bytes
note: test_kv_bytes_per_token: (?!$).{10}
"""
# %% kv_bytes_per_token
def kv_bytes_per_token(config, bytes_per=2):
    return "x" * 200_000_000
# %% tokens_processed
def tokens_processed(prompt, new, cached):
    raise RuntimeError("y" * 200_000_000)
