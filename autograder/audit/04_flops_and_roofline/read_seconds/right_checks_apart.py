"""Checks each argument on its own line."""
def read_seconds(n_bytes, bandwidth):
    if not n_bytes >= 0:
        raise ValueError(f"n_bytes {n_bytes}")
    if not bandwidth > 0:
        raise ValueError(f"bandwidth {bandwidth}")
    return float(n_bytes) / float(bandwidth)
