"""Divides by the scale 0 of an all-zero group."""
def quantize_groups(w, bits, group_size, symmetric=True):
    if not 2 <= bits <= 8:
        raise ValueError(f"bits {bits}")
    if group_size < 1 or w.shape[0] % group_size:
        raise ValueError(f"group_size {group_size}")
    g = w.reshape(-1, group_size, w.shape[1])
    last = 2 ** (bits - 1) - 1 if symmetric else 2**bits - 1
    low = np.minimum(g.min(1), 0)
    span = np.abs(g).max(1) if symmetric else np.maximum(g.max(1), 0) - low
    scales = (span / last).astype(np.float16)
    with np.errstate(all="ignore"):
        steps = np.nan_to_num(np.rint(g / scales[:, None]))
        if symmetric:
            return np.clip(steps, -last, last).astype(np.int8).reshape(w.shape), scales, None
        zeros = np.minimum(np.nan_to_num(np.rint(-low / scales)), last).astype(np.uint8)
    return np.clip(steps + zeros[:, None], 0, last).astype(np.uint8).reshape(w.shape), scales, zeros
