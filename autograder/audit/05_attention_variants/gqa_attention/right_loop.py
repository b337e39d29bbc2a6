"""A loop over the query heads; each looks up its KV head."""
def gqa_attention(q, k, v, causal=False):
    heads, n, d = q.shape
    group, rest = divmod(heads, k.shape[0])
    if rest:
        raise ValueError(f"{heads} heads on {k.shape[0]}")
    out = np.empty((heads, n, v.shape[-1]), dtype=q.dtype)
    s = k.shape[1]
    for head in range(heads):
        scores = q[head] @ k[head // group].T / np.sqrt(d).astype(q.dtype)
        if causal:
            scores[np.arange(s)[None] > np.arange(s - n, s)[:, None]] = -np.inf
        weights = np.exp(scores - scores.max(1, keepdims=True))
        out[head] = weights / weights.sum(1, keepdims=True) @ v[head // group]
    return out
