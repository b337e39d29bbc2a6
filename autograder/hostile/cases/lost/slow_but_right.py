"""Right, and slower than anyone thought: a little sleep at every call.

answers: kv_cache_bytes
score: kv_bytes_per_token=3 kv_cache_bytes=3
note: -
"""
# %% kv_bytes_per_token
def kv_bytes_per_token(config, bytes_per=2):
    time.sleep(0.1)
    if bytes_per <= 0:
        raise ValueError(f"bytes_per must be positive, got {bytes_per}")
    return int(2 * config.num_hidden_layers * config.num_key_value_heads * config.head_dim * bytes_per)
