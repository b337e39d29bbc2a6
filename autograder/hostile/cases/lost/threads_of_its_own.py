"""Uses a pool of threads inside its answer, and leaves it open.

answers: kv_cache_bytes
score: kv_bytes_per_token=3 kv_cache_bytes=3
note: -
"""
# %% kv_bytes_per_token
from concurrent.futures import ThreadPoolExecutor

pool = ThreadPoolExecutor(4)

def kv_bytes_per_token(config, bytes_per=2):
    if bytes_per <= 0:
        raise ValueError(f"bytes_per must be positive, got {bytes_per}")
    sizes = pool.map(lambda _: config.num_key_value_heads * config.head_dim, range(config.num_hidden_layers))
    return int(2 * sum(sizes) * bytes_per)
