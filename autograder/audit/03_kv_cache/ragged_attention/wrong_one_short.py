"""leaves out the new token"""


def ragged_attention(q, keys, values, lengths):
    for length in lengths:
        if not 1 <= length <= keys.shape[2]:
            raise ValueError(f"a length must be from 1 to {keys.shape[2]}, got {length}")
    batch, num_heads, dim = q.shape
    kv_heads, rows = keys.shape[1:3]
    sees = (np.arange(rows) < np.maximum(np.asarray(lengths) - 1, 1)[:, None])[:, None, None]
    keys = np.where(sees.swapaxes(2, 3), keys, 0)
    values = np.where(sees.swapaxes(2, 3), values, 0)
    grouped = q.reshape(batch, kv_heads, -1, dim)
    scores = np.where(sees, grouped @ keys.swapaxes(2, 3) / math.sqrt(dim), -np.inf)
    weight = np.exp(scores - scores.max(axis=-1, keepdims=True))
    weight /= weight.sum(axis=-1, keepdims=True)
    return (weight @ values).reshape(q.shape).astype(q.dtype)
