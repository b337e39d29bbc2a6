"""Walks over the queries too, a few rows at a time, with log-sum-exp to join the blocks."""
def online_softmax_attention(q, k, v, block_size):
    if block_size < 1:
        raise ValueError(f"{block_size} keys per block")
    out = np.empty((*q.shape[:-1], v.shape[-1]), q.dtype)
    for first in range(0, q.shape[-2], 128):
        rows = q[..., first : first + 128, :] * q.dtype.type(q.shape[-1] ** -0.5)
        lse, part = None, None
        for start in range(0, k.shape[-2], block_size):
            scores = rows @ np.swapaxes(k[..., start : start + block_size, :], -1, -2)
            top = scores.max(-1, keepdims=True)
            weights = np.exp(scores - top)
            size = weights.sum(-1, keepdims=True)
            here, block_lse = weights @ v[..., start : start + block_size, :] / size, top + np.log(size)
            if lse is None:
                lse, part = block_lse, here
            else:
                both = np.logaddexp(lse, block_lse)
                part = part * np.exp(lse - both) + here * np.exp(block_lse - both)
                lse = both
        out[..., first : first + 128, :] = part
    return out
