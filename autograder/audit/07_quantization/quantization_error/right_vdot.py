"""Norms by dot products; quantizes by hand with one step per group."""
def quantization_error(w, bits, group_sizes):
    if not 2 <= bits <= 8:
        raise ValueError(f"bits {bits}")
    w = np.asarray(w, dtype=np.float64)
    errors = {}
    for g in group_sizes:
        if g < 1 or w.shape[0] % g:
            raise ValueError(f"group size {g}")
        grouped = w.reshape(-1, g, w.shape[1])
        step = (np.abs(grouped).max(1, keepdims=True) / (2 ** (bits - 1) - 1)).astype(np.float16).astype(float)
        step[step == 0] = 1
        lost = (grouped - np.rint(grouped / step) * step).ravel()
        errors[g] = float(np.sqrt(np.vdot(lost, lost) / (np.vdot(w, w) or 1)))
    return errors
