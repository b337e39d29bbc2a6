"""A loop, with the norm written out."""
def quantization_error(w, bits, group_sizes):
    errors = {}
    total = float(np.sum(np.square(w, dtype=float)))
    for group in group_sizes:
        lost = float(np.sum(np.square(w - fake_quantize(w, bits, int(group)), dtype=float)))
        errors[group] = (lost / total) ** 0.5 if total > 0 else 0.0
    return errors
