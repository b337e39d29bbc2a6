"""Measures the output error through X'X: tr(D' X'X D)."""
def awq_scale_search(w, x, bits, group_size):
    num_in = w.shape[0]
    if x.shape[1] != num_in:
        raise ValueError("x has the wrong width: " + str(x.shape[1]))
    x = x.astype(np.float64)
    h = x.T @ x
    log_size = np.log(np.maximum(np.abs(x).mean(0), 1e-4))
    errors, scales = [], []
    for step in range(21):
        log_s = log_size * step / 20
        s = np.exp(log_s - (log_s.max() + log_s.min()) / 2)
        lost = fake_quantize(w * s[:, None], bits, group_size) / s[:, None] - w
        errors.append(np.einsum("io,ij,jo->", lost, h, lost, optimize=True))
        scales.append(s)
    return scales[int(np.argmin(errors))]
