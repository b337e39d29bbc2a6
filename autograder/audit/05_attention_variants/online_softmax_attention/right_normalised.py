"""Keeps the output normalised after every block, as FlashAttention 1 does."""
def online_softmax_attention(q, k, v, block_size):
    if block_size <= 0:
        raise ValueError(f"block_size = {block_size}")
    m = np.full(q.shape[:-1], -np.inf, dtype=q.dtype)
    l = np.zeros(q.shape[:-1], dtype=q.dtype)
    o = np.zeros(q.shape[:-1] + v.shape[-1:], dtype=q.dtype)
    start = 0
    while start < k.shape[-2]:
        kj, vj = k[..., start : start + block_size, :], v[..., start : start + block_size, :]
        s = np.einsum("...nd,...sd->...ns", q, kj) / np.sqrt(q.shape[-1]).astype(q.dtype)
        new = np.maximum(m, s.max(-1))
        p = np.exp(s - new[..., None])
        old = l * np.exp(m - new)
        l = old + p.sum(-1)
        o = (o * old[..., None] + p @ vj) / l[..., None]
        m = new
        start += block_size
    return o
