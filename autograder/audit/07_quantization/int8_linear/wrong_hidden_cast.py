"""Multiplies by the whole int8 matrix and lets NumPy convert it behind its back; scales cannot be right either."""
def int8_linear(x, q, scales, group_size):
    if group_size < 1 or q.shape[0] % group_size or x.shape[1] != q.shape[0] or scales.shape != (q.shape[0] // group_size, q.shape[1]):
        raise ValueError("sizes do not fit")
    return (x @ q) * scales.astype(np.float32).mean(axis=0)
