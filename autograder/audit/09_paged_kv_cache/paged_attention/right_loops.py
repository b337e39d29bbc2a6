"""A loop over heads and queries."""
def paged_attention(q, cache, seq):
    queries = q.reshape(q.shape[0], -1, q.shape[-1])
    length = cache.lengths[seq]
    kv_heads = cache.keys.shape[2]
    if queries.shape[0] % kv_heads != 0:
        raise ValueError(f"heads {queries.shape[0]}, {kv_heads}")
    if queries.shape[1] > length:
        raise ValueError(f"{queries.shape[1]} queries of {length} tokens")
    where = [(cache.block_tables[seq][t // cache.block_size], t % cache.block_size) for t in range(length)]
    out = np.empty(queries.shape)
    for h in range(queries.shape[0]):
        g = h // (queries.shape[0] // kv_heads)
        k = np.array([cache.keys[b, s, g] for b, s in where])
        v = np.array([cache.values[b, s, g] for b, s in where])
        for i in range(queries.shape[1]):
            seen = length - queries.shape[1] + i + 1
            s = k[:seen] @ queries[h, i] / queries.shape[2] ** 0.5
            w = np.exp(s - s.max())
            out[h, i] = w @ v[:seen] / w.sum()
    return out.reshape(q.shape)
