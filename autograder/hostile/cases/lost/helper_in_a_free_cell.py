"""Keeps helpers, constants and imports in free cells of its own.

answers: kv_cache_bytes
score: kv_bytes_per_token=3 kv_cache_bytes=3
note: -
"""
# %%
from functools import reduce
from operator import mul

ARRAYS = 2
# %%
def product(*numbers):
    return reduce(mul, numbers, ARRAYS)
# %% kv_bytes_per_token
def kv_bytes_per_token(config, bytes_per=2):
    if bytes_per <= 0:
        raise ValueError(f"bytes_per must be positive, got {bytes_per}")
    return int(product(config.num_hidden_layers, config.num_key_value_heads, config.head_dim, bytes_per))
