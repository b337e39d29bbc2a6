"""Returns the share of bytes that is saved."""
def decode_speedup_bound(bytes_before, bytes_after):
    if bytes_before <= 0 or bytes_after <= 0:
        raise ValueError("bytes must be positive")
    return 1 - bytes_after / bytes_before
