"""The largest singular value (ord=2) instead of the Frobenius norm."""
def quantization_error(w, bits, group_sizes):
    size = np.linalg.norm(w, 2) or 1.0
    return {g: np.linalg.norm(w - fake_quantize(w, bits, g), 2) / size for g in group_sizes}
