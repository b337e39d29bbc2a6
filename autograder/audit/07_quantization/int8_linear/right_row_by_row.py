"""Adds one input at a time, in float64."""
def int8_linear(x, q, scales, group_size):
    if group_size < 1 or len(q) % group_size:
        raise ValueError(f"group_size={group_size} for {len(q)} inputs")
    if x.shape != (x.shape[0], len(q)) or scales.shape != (len(q) // group_size, q.shape[1]):
        raise ValueError("shapes do not match")
    total = np.zeros((x.shape[0], q.shape[1]))
    for start in range(0, len(q), group_size):
        part = np.zeros_like(total)
        for i in range(start, start + group_size):
            part += np.outer(x[:, i].astype(float), q[i])
        total += part * scales[start // group_size].astype(float)
    return total.astype(np.float32)
