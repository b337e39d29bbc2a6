"""Clips at -128: uses 2**(bits-1) steps, so the steps below and above zero do not mirror each other."""
def quantize_absmax(w, bits=8):
    if not 2 <= bits <= 8:
        raise ValueError(f"bits must be between 2 and 8, got {bits}")
    last = 2 ** (bits - 1)
    scale = float(np.abs(w).max()) / last or 1.0
    return np.clip(np.rint(w / scale), -last, last - 1).astype(np.int8), scale
