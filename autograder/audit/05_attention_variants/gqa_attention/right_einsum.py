"""einsum over a group axis, float64 inside."""
def gqa_attention(q, k, v, causal=False):
    heads, n, d = q.shape
    kv, s, _ = k.shape
    if heads % kv != 0:
        raise ValueError(f"{heads} % {kv} != 0")
    grouped = q.reshape(kv, heads // kv, n, d)
    scores = np.einsum("kgnd,ksd->kgns", grouped, k, dtype=np.float64) * d**-0.5
    if causal:
        scores += np.triu(np.full((n, s), -np.inf), s - n + 1)
    scores -= scores.max(-1, keepdims=True)
    weights = np.exp(scores)
    weights /= weights.sum(-1, keepdims=True)
    return np.einsum("kgns,ksd->kgnd", weights, v).reshape(heads, n, v.shape[-1]).astype(q.dtype)
