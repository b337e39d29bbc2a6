"""Ends its solution cell with a number, which nbgrader could take for partial credit.

answers: kv_cache_bytes
score: kv_bytes_per_token=3 kv_cache_bytes=3
note: 524288
"""
# %% kv_bytes_per_token
def kv_bytes_per_token(config, bytes_per=2):
    if bytes_per <= 0:
        raise ValueError(f"bytes_per must be positive, got {bytes_per}")
    return int(2 * config.num_hidden_layers * config.num_key_value_heads * config.head_dim * bytes_per)

kv_bytes_per_token(LLAMA_2_7B)
