"""Asymmetric range from min to max without widening it to 0: the zero point does not fit its type."""
def quantize_groups(w, bits, group_size, symmetric=True):
    if not 2 <= bits <= 8:
        raise ValueError(f"bits {bits}")
    if group_size < 1 or w.shape[0] % group_size:
        raise ValueError(f"group_size {group_size}")
    g = w.reshape(-1, group_size, w.shape[1])
    if symmetric:
        last = 2 ** (bits - 1) - 1
        scales = (np.abs(g).max(1) / last).astype(np.float16)
        scales[scales == 0] = 1
        return np.clip(np.rint(g / scales[:, None]), -last, last).astype(np.int8).reshape(w.shape), scales, None
    last = 2**bits - 1
    low = g.min(1)
    scales = ((g.max(1) - low) / last).astype(np.float16)
    scales[scales == 0] = 1
    zeros = np.clip(np.rint(-low / scales), 0, last).astype(np.uint8)
    q = np.clip(np.rint(g / scales[:, None]) + zeros[:, None], 0, last).astype(np.uint8)
    return q.reshape(w.shape), scales, zeros
