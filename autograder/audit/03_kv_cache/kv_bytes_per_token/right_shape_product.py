"""Multiplies the shape of the cache array out with NumPy."""
def kv_bytes_per_token(config, bytes_per=2):
    if not bytes_per > 0:
        raise ValueError("need a positive size, not " + str(bytes_per))
    shape = (2, config.num_hidden_layers, config.num_key_value_heads, config.head_dim)
    return int(int(np.prod(shape, dtype=np.int64)) * bytes_per)
