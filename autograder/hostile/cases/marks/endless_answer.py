"""Returns a generator and an iterable that never end.

score: kv_cache_bytes=3
answers: kv_cache_bytes
note: test_kv_bytes_per_token: (?!$).{10}
"""
# %% kv_bytes_per_token
import itertools

def kv_bytes_per_token(config, bytes_per=2):
    return itertools.count()
# %% KVCache
class KVCache:
    def __init__(self, *sizes, **options):
        self.length = 0

    def append(self, layer, k, v):
        return itertools.repeat(k)
