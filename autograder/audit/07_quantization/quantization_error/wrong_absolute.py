"""The error itself, not relative to the size of the weights."""
def quantization_error(w, bits, group_sizes):
    return {g: np.linalg.norm(w - fake_quantize(w, bits, g)) for g in group_sizes}
