"""Multiplies in 32-bit integers, which overflow at 2 GiB."""
def kv_cache_bytes(batch, layers, tokens, kv_heads, head_dim, bytes_per):
    for count in (batch, layers, tokens, kv_heads, head_dim):
        if count < 0:
            raise ValueError(f"a count cannot be negative, got {count}")
    if bytes_per <= 0:
        raise ValueError(f"bytes_per must be positive, got {bytes_per}")
    numbers = np.prod(np.array([2, batch, layers, tokens, kv_heads, head_dim], np.int32), dtype=np.int32)
    return math.ceil(int(numbers) * bytes_per)
