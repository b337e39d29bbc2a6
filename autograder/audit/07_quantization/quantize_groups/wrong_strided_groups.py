"""Builds the groups from every n-th input instead of from neighbours."""
def quantize_groups(w, bits, group_size, symmetric=True):
    if not 2 <= bits <= 8:
        raise ValueError(f"bits {bits}")
    if group_size < 1 or w.shape[0] % group_size:
        raise ValueError(f"group_size {group_size}")
    g = w.reshape(group_size, -1, w.shape[1]).swapaxes(0, 1)
    last = 2 ** (bits - 1) - 1 if symmetric else 2**bits - 1
    low = np.minimum(g.min(1), 0)
    span = np.abs(g).max(1) if symmetric else np.maximum(g.max(1), 0) - low
    scales = (span / last).astype(np.float16)
    scales[scales == 0] = 1
    if symmetric:
        return np.clip(np.rint(g / scales[:, None]), -last, last).astype(np.int8).swapaxes(0, 1).reshape(w.shape), scales, None
    zeros = np.minimum(np.rint(-low / scales), last).astype(np.uint8)
    q = np.clip(np.rint(g / scales[:, None]) + zeros[:, None], 0, last).astype(np.uint8)
    return q.swapaxes(0, 1).reshape(w.shape), scales, zeros
