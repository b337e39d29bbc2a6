"""Always measures 8 bits."""
def quantization_error(w, bits, group_sizes):
    size = np.linalg.norm(w) or 1.0
    return {g: np.linalg.norm(w - fake_quantize(w, 8, g)) / size for g in group_sizes}
