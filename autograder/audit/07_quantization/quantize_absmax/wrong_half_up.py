"""Rounds halves away from zero (the school rule) instead of to the even neighbour."""
def quantize_absmax(w, bits=8):
    if not 2 <= bits <= 8:
        raise ValueError(f"bits must be between 2 and 8, got {bits}")
    scale = float(np.abs(w).max()) / (2 ** (bits - 1) - 1) or 1.0
    return (np.sign(w) * np.floor(np.abs(w) / scale + 0.5)).astype(np.int8), scale
