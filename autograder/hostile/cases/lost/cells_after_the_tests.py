"""Writes its answer at the end of the notebook, below the tests, and leaves the solution cell alone.

answers: kv_cache_bytes
score: kv_cache_bytes=3
note: test_kv_bytes_per_token: .*NotImplementedError
"""
# %% end
def kv_bytes_per_token(config, bytes_per=2):
    if bytes_per <= 0:
        raise ValueError(f"bytes_per must be positive, got {bytes_per}")
    return int(2 * config.num_hidden_layers * config.num_key_value_heads * config.head_dim * bytes_per)
