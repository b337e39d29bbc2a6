"""Splits a solution cell in two: the second half is a free cell below it.

answers: kv_cache_bytes
score: kv_bytes_per_token=3 kv_cache_bytes=3
note: -
"""
# %% kv_bytes_per_token
def positive(bytes_per):
    if bytes_per <= 0:
        raise ValueError(f"bytes_per must be positive, got {bytes_per}")
    return bytes_per
# %%
def kv_bytes_per_token(config, bytes_per=2):
    return int(2 * config.num_hidden_layers * config.num_key_value_heads * config.head_dim * positive(bytes_per))
