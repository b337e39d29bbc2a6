"""Dequantizes the whole matrix first: right numbers, but the float matrix is built."""
def int8_linear(x, q, scales, group_size):
    if group_size < 1 or q.shape[0] % group_size or x.shape[1] != q.shape[0] or scales.shape != (q.shape[0] // group_size, q.shape[1]):
        raise ValueError("sizes do not fit")
    w = q.astype(np.float32) * np.repeat(scales.astype(np.float32), group_size, axis=0)
    return x @ w
