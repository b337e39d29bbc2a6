"""Counts one layer; every layer has keys and values of its own."""
def kv_bytes_per_token(config, bytes_per=2):
    if bytes_per <= 0:
        raise ValueError(f"bytes_per must be positive, got {bytes_per}")
    return int(2 * config.num_key_value_heads * config.head_dim * bytes_per)
