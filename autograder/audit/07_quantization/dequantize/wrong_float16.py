"""Computes in float16, the type of the scales: products round to 11 bits or overflow."""
def dequantize(q, scale, zero=None):
    scale = np.asarray(scale, np.float16)
    zero = np.float16(0) if zero is None else np.asarray(zero, np.float16)
    w = q.astype(np.float16)
    if scale.ndim == 0:
        return ((w - zero) * scale).astype(np.float32)
    g = w.reshape(scale.shape[0], -1, w.shape[1])
    zero = zero[:, None] if zero.ndim else zero
    return ((g - zero) * scale[:, None]).reshape(w.shape).astype(np.float32)
