"""Converts x to int8 as well: activations of 0.4 become 0."""
def int8_linear(x, q, scales, group_size):
    if group_size < 1 or q.shape[0] % group_size or x.shape[1] != q.shape[0] or scales.shape != (q.shape[0] // group_size, q.shape[1]):
        raise ValueError("sizes do not fit")
    y = np.zeros((x.shape[0], q.shape[1]), np.float32)
    for g in range(len(scales)):
        rows = slice(g * group_size, (g + 1) * group_size)
        y += (np.rint(x[:, rows]).astype(np.int32) @ q[rows].astype(np.int32)) * scales[g].astype(np.float32)
    return y
