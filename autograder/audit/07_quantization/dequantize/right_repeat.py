"""Repeats scales and zero points to the full shape."""
def dequantize(q, scale, zero=None):
    scale = np.array(scale, dtype=np.float32)
    zero = np.zeros_like(scale) if zero is None else np.array(zero, dtype=np.float32)
    if scale.ndim == 2:
        run, left = divmod(q.shape[0], scale.shape[0])
        if left:
            raise ValueError(f"{q.shape[0]} inputs, {scale.shape[0]} groups")
        scale, zero = np.repeat(scale, run, axis=0), np.repeat(zero, run, axis=0)
    return (q.astype(np.float32) - zero) * scale
