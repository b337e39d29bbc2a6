"""Shrinks the inverse after each row (Gaussian elimination) instead of factoring it once."""
def gptq_quantize(w, x, bits, group_size, damp=0.01):
    num_in, num_out = w.shape
    if not 2 <= bits <= 8 or group_size < 1 or num_in % group_size or x.shape[1] != num_in or damp < 0:
        raise ValueError(f"bits {bits}, group {group_size}, x {x.shape}, damp {damp}")
    w, x = np.array(w, float), np.asarray(x, float)
    h = x.T @ x
    d = np.diag(h).copy()
    d[d == 0] = 1
    h[np.diag_indices(num_in)] = d + damp * d.mean()
    hinv = np.linalg.inv(h)
    last = 2 ** (bits - 1) - 1
    q, scales = np.zeros((num_in, num_out), np.int8), np.ones((num_in // group_size, num_out), np.float16)
    for i in range(num_in):
        g = i // group_size
        if i % group_size == 0:
            top = (np.abs(w[i : i + group_size]).max(0) / last).astype(np.float16)
            scales[g] = np.where(top == 0, 1, top)
        s = scales[g].astype(float)
        q[i] = np.clip(np.rint(w[i] / s), -last, last)
        error = (w[i] - q[i] * s) / hinv[0, 0]
        w[i + 1 :] -= np.outer(hinv[1:, 0], error)
        hinv = hinv[1:, 1:] - np.outer(hinv[1:, 0], hinv[0, 1:]) / hinv[0, 0]
    return q, scales
