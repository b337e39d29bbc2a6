"""Counts one request: the batch is thought to share a cache."""
def kv_cache_bytes(batch, layers, tokens, kv_heads, head_dim, bytes_per):
    for count in (batch, layers, tokens, kv_heads, head_dim):
        if count < 0:
            raise ValueError(f"a count cannot be negative, got {count}")
    if bytes_per <= 0:
        raise ValueError(f"bytes_per must be positive, got {bytes_per}")
    return math.ceil(2 * layers * tokens * kv_heads * head_dim * bytes_per)
