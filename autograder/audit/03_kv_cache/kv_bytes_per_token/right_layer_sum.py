"""Adds up the arrays of the layers, one by one."""
def kv_bytes_per_token(config, bytes_per=2):
    if not bytes_per > 0:
        raise ValueError(f"a stored number has more than {bytes_per} bytes")
    numbers = 0
    for _ in range(config.num_hidden_layers):
        keys = config.num_key_value_heads * config.head_dim
        values = keys
        numbers += keys + values
    return int(numbers * bytes_per)
