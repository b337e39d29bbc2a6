"""The mean of each weight's own relative error."""
def quantization_error(w, bits, group_sizes):
    with np.errstate(all="ignore"):
        return {g: float(np.nan_to_num(np.abs(w - fake_quantize(w, bits, g)) / np.abs(w)).mean()) for g in group_sizes}
