"""Returns GB instead of bytes."""
def kv_cache_bytes(batch, layers, tokens, kv_heads, head_dim, bytes_per):
    if min(batch, layers, tokens, kv_heads, head_dim) < 0 or bytes_per <= 0:
        raise ValueError(f"bad size in {(batch, layers, tokens, kv_heads, head_dim, bytes_per)}")
    return 2 * batch * layers * tokens * kv_heads * head_dim * bytes_per / 1e9
