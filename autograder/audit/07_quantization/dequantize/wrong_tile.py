"""Tiles the scales over the inputs instead of repeating each one over its own group."""
def dequantize(q, scale, zero=None):
    w = q.astype(np.float32)
    scale = np.asarray(scale, np.float32)
    zero = np.float32(0) if zero is None else np.asarray(zero, np.float32)
    if scale.ndim:
        if q.shape[0] % scale.shape[0]:
            raise ValueError("groups do not divide")
        reps = (q.shape[0] // scale.shape[0], 1)
        scale = np.tile(scale, reps)
        zero = np.tile(zero, reps) if zero.ndim else zero
    return (w - zero) * scale
