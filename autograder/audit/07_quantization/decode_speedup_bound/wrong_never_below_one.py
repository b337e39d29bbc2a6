"""Never says that more bytes are slower."""
def decode_speedup_bound(bytes_before, bytes_after):
    if bytes_before <= 0 or bytes_after <= 0:
        raise ValueError("bytes must be positive")
    return max(1.0, bytes_before / bytes_after)
