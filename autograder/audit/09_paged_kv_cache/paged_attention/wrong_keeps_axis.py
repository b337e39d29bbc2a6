"""Returns the middle axis where q had none."""
def paged_attention(q, cache, seq):
    if q.ndim == 2:
        return paged_attention(q[:, None], cache, seq)
    table, length = cache.block_tables[seq], cache.lengths[seq]
    (num_heads, num_new, head_dim), num_kv_heads = q.shape, cache.keys.shape[2]
    if num_heads % num_kv_heads:
        raise ValueError(f"{num_heads} query heads cannot share {num_kv_heads} KV heads evenly")
    if num_new > length:
        raise ValueError(f"{num_new} queries for a sequence of {length} tokens")
    k, v = (pool[table].reshape(-1, num_kv_heads, head_dim)[:length] for pool in (cache.keys, cache.values))
    k, v = (np.repeat(x.transpose(1, 0, 2), num_heads // num_kv_heads, axis=0) for x in (k, v))
    scores = q @ k.transpose(0, 2, 1) / np.sqrt(head_dim)
    positions = np.arange(length - num_new, length)
    scores = np.where(np.arange(length) <= positions[:, None], scores, -np.inf)
    weights = np.exp(scores - scores.max(axis=-1, keepdims=True))
    return weights / weights.sum(axis=-1, keepdims=True) @ v
