"""Adds all groups first and scales once, with the last group's scale."""
def int8_linear(x, q, scales, group_size):
    if group_size < 1 or q.shape[0] % group_size or x.shape[1] != q.shape[0] or scales.shape != (q.shape[0] // group_size, q.shape[1]):
        raise ValueError("sizes do not fit")
    y = np.zeros((x.shape[0], q.shape[1]), np.float32)
    for g in range(len(scales)):
        rows = slice(g * group_size, (g + 1) * group_size)
        y += x[:, rows] @ q[rows].astype(np.float32)
    return y * scales[-1].astype(np.float32)
