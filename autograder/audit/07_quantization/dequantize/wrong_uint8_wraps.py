"""Subtracts the zero point in uint8: 3 - 5 is 254."""
def dequantize(q, scale, zero=None):
    scale = np.asarray(scale, np.float32)
    if scale.ndim == 0:
        return ((q if zero is None else q - zero) * scale).astype(np.float32)
    g = q.reshape(scale.shape[0], -1, q.shape[1])
    if zero is not None:
        g = g - zero[:, None]
    return (g * scale[:, None]).reshape(q.shape).astype(np.float32)
