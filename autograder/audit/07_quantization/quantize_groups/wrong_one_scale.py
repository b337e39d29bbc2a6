"""One scale for the whole matrix, copied to every group."""
def quantize_groups(w, bits, group_size, symmetric=True):
    if not 2 <= bits <= 8:
        raise ValueError(f"bits {bits}")
    if group_size < 1 or w.shape[0] % group_size:
        raise ValueError(f"group_size {group_size}")
    shape = (w.shape[0] // group_size, w.shape[1])
    last = 2 ** (bits - 1) - 1 if symmetric else 2**bits - 1
    low, high = (0, np.abs(w).max()) if symmetric else (min(w.min(), 0), max(w.max(), 0))
    scale = np.float16((high - low) / last) or np.float16(1)
    if symmetric:
        return np.clip(np.rint(w / scale), -last, last).astype(np.int8), np.full(shape, scale), None
    zero = min(np.rint(-low / scale), last)
    q = np.clip(np.rint(w / scale) + zero, 0, last).astype(np.uint8)
    return q, np.full(shape, scale), np.full(shape, zero, np.uint8)
