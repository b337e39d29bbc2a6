"""Stretches the scales with np.repeat and rounds after the zero point is added."""
def quantize_groups(w, bits, group_size, symmetric=True):
    if int(bits) not in range(2, 9):
        raise ValueError("bits: " + str(bits))
    if group_size < 1 or w.shape[0] % group_size > 0:
        raise ValueError("group_size: " + str(group_size))
    starts = np.arange(0, w.shape[0], group_size)
    top, low = np.maximum.reduceat(w, starts), np.minimum.reduceat(w, starts)
    if symmetric:
        least, most = 1 - 2 ** (bits - 1), 2 ** (bits - 1) - 1
        scales = (np.maximum(top, -low) / most).astype(np.float16)
    else:
        least, most = 0, 2**bits - 1
        low, top = np.minimum(low, 0), np.maximum(top, 0)
        scales = ((top - low) / most).astype(np.float16)
    scales = np.where(scales == 0, np.float16(1), scales)
    zeros = None if symmetric else np.clip(np.rint(-low / scales), 0, most).astype(np.uint8)
    z = 0 if symmetric else np.repeat(zeros, group_size, axis=0).astype(float)
    q = np.clip(np.rint(w / np.repeat(scales, group_size, axis=0) + z), least, most)
    return q.astype(np.int8 if symmetric else np.uint8), scales, zeros
