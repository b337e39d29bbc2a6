"""Applies the zero point after the scale: q * scale - zero."""
def dequantize(q, scale, zero=None):
    w = q.astype(np.float32)
    scale = np.asarray(scale, np.float32)
    zero = np.float32(0) if zero is None else np.asarray(zero, np.float32)
    if scale.ndim:
        run = q.shape[0] // scale.shape[0]
        if run * scale.shape[0] != q.shape[0]:
            raise ValueError("groups do not divide")
        scale = np.repeat(scale, run, axis=0)
        zero = np.repeat(zero, run, axis=0) if zero.ndim else zero
    return w * scale - zero
