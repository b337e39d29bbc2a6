"""One layer of one request first, then layers and requests."""
def kv_cache_bytes(batch, layers, tokens, kv_heads, head_dim, bytes_per):
    for name, value in (("batch", batch), ("layers", layers), ("tokens", tokens), ("kv_heads", kv_heads), ("head_dim", head_dim)):
        if value < 0:
            raise ValueError(f"{name}={value}")
    if not bytes_per > 0:
        raise ValueError(f"bytes_per={bytes_per}")
    one_layer = tokens * kv_heads * head_dim
    return math.ceil((one_layer + one_layer) * layers * batch * bytes_per)
