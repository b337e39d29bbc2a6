"""Applies the float16 scale to each weight and sums in float16: too few digits."""
def int8_linear(x, q, scales, group_size):
    if group_size < 1 or q.shape[0] % group_size or x.shape[1] != q.shape[0] or scales.shape != (q.shape[0] // group_size, q.shape[1]):
        raise ValueError("sizes do not fit")
    y = np.zeros((x.shape[0], q.shape[1]), np.float16)
    for g in range(len(scales)):
        rows = slice(g * group_size, (g + 1) * group_size)
        y += x[:, rows].astype(np.float16) @ (q[rows] * scales[g])
    return y.astype(np.float32)
