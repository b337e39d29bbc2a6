"""request by request, head by head"""


def ragged_attention(q, keys, values, lengths):
    for length in lengths:
        if not 1 <= length <= keys.shape[2]:
            raise ValueError(f"a length must be from 1 to {keys.shape[2]}, got {length}")
    out = np.zeros_like(q)
    group = q.shape[1] // keys.shape[1]
    for b, n in enumerate(lengths):
        for head in range(q.shape[1]):
            k, v = keys[b, head // group, :n], values[b, head // group, :n]
            scores = k @ q[b, head] / q.shape[-1] ** 0.5
            weight = np.exp(scores - scores.max())
            out[b, head] = weight @ v / weight.sum()
    return out
