"""Walks the table block by block with a running sum, as the kernel does."""
def paged_attention(q, cache, seq):
    single = q.ndim == 2
    q = q[:, None] if single else q
    heads, n, dim = q.shape
    kv_heads, length = cache.keys.shape[2], cache.lengths[seq]
    if heads % kv_heads:
        raise ValueError(f"{heads} query heads, {kv_heads} KV heads")
    if n > length:
        raise ValueError(f"{n} queries, {length} tokens")
    group = q.reshape(kv_heads, heads // kv_heads, n, dim) / np.sqrt(dim)
    top = np.full((*group.shape[:3], 1), -np.inf)
    total, out = np.zeros_like(top), np.zeros(group.shape)
    positions = np.arange(length - n, length)[:, None]
    for column in range(-(-length // cache.block_size)):
        block, start = cache.block_tables[seq][column], column * cache.block_size
        filled = min(cache.block_size, length - start)
        k, v = cache.keys[block, :filled], cache.values[block, :filled]
        scores = np.einsum("hgnd,thd->hgnt", group, k)
        scores = np.where(start + np.arange(filled) <= positions, scores, -np.inf)
        new_top = np.maximum(top, scores.max(axis=-1, keepdims=True))
        shrink = np.exp(top - new_top)
        weights = np.exp(scores - new_top)
        total = total * shrink + weights.sum(axis=-1, keepdims=True)
        out = out * shrink + np.einsum("hgnt,thd->hgnd", weights, v)
        top = new_top
    out = (out / total).reshape(heads, n, dim)
    return out[:, 0] if single else out
