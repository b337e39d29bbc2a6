"""Sums of squares without the root."""
def quantization_error(w, bits, group_sizes):
    size = (w**2).sum() or 1.0
    return {g: ((w - fake_quantize(w, bits, g)) ** 2).sum() / size for g in group_sizes}
