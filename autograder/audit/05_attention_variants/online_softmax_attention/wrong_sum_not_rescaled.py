"""Does not rescale the running sum when the maximum rises."""
def online_softmax_attention(q, k, v, block_size):
    if block_size < 1:
        raise ValueError(f"block_size must be at least 1, got {block_size}")
    scale = 1 / math.sqrt(q.shape[-1])
    largest = np.full((*q.shape[:-1], 1), -np.inf, q.dtype)
    total = np.zeros_like(largest)
    out = np.zeros((*q.shape[:-1], v.shape[-1]), q.dtype)
    for start in range(0, k.shape[-2], block_size):
        block = slice(start, start + block_size)
        scores = q @ k[..., block, :].swapaxes(-1, -2) * scale
        new_largest = np.maximum(largest, scores.max(axis=-1, keepdims=True))
        shrink = np.exp(largest - new_largest)
        weight = np.exp(scores - new_largest)
        total = total + weight.sum(axis=-1, keepdims=True)
        out = shrink * out + weight @ v[..., block, :]
        largest = new_largest
    return out / total
