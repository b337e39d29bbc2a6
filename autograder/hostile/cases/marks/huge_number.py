"""Returns an int of a hundred million bits, which takes minutes to print.

score: kv_cache_bytes=3
answers: kv_cache_bytes
note: test_kv_bytes_per_token: (?!$).{10}
"""
# %% kv_bytes_per_token
def kv_bytes_per_token(config, bytes_per=2):
    return 1 << 10**8
