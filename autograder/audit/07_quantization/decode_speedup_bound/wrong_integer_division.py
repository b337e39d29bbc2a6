"""Divides whole numbers: 3.88 becomes 3."""
def decode_speedup_bound(bytes_before, bytes_after):
    if bytes_before <= 0 or bytes_after <= 0:
        raise ValueError("bytes must be positive")
    return bytes_before // bytes_after
