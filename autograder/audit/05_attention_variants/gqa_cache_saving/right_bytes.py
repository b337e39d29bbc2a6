"""Divides the bytes of two caches of one layer and one token."""
def gqa_cache_saving(n_heads, n_kv_heads):
    if n_heads < 1 or n_kv_heads < 1 or n_heads % n_kv_heads != 0:
        raise ValueError("cannot share: {} query heads, {} KV heads".format(n_heads, n_kv_heads))
    size = lambda heads: 2 * heads * 128 * 2
    return size(n_heads) / size(n_kv_heads)
