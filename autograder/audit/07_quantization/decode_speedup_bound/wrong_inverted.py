"""After over before: half the bytes would make it twice as slow."""
def decode_speedup_bound(bytes_before, bytes_after):
    if bytes_before <= 0 or bytes_after <= 0:
        raise ValueError("bytes must be positive")
    return bytes_after / bytes_before
