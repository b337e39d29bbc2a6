"""Divides 0 by 0 for an array of zeros and returns the scale 0."""
def quantize_absmax(w, bits=8):
    if not 2 <= bits <= 8:
        raise ValueError(f"bits must be between 2 and 8, got {bits}")
    scale = float(np.abs(w).max()) / (2 ** (bits - 1) - 1)
    with np.errstate(all="ignore"):
        return np.nan_to_num(np.rint(w / scale)).astype(np.int8), scale
