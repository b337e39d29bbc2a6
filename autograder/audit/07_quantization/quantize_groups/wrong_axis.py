"""Groups along the outputs instead of the inputs."""
def quantize_groups(w, bits, group_size, symmetric=True):
    if not 2 <= bits <= 8:
        raise ValueError(f"bits {bits}")
    if group_size < 1 or w.shape[0] % group_size:
        raise ValueError(f"group_size {group_size}")
    g = w.T.reshape(-1, group_size, w.shape[0]) if w.shape[1] % group_size == 0 else w.T.reshape(1, -1, w.shape[0])
    last = 2 ** (bits - 1) - 1
    scales = (np.abs(g).max(1) / last).astype(np.float16)
    scales[scales == 0] = 1
    q = np.clip(np.rint(g / scales[:, None]), -last, last).astype(np.int8).reshape(w.T.shape).T
    return (q, scales, None) if symmetric else (q.astype(np.uint8), scales, np.zeros(scales.shape, np.uint8))
