"""Refuses to read zero bytes"""
def read_seconds(n_bytes, bandwidth):
    if n_bytes <= 0 or bandwidth <= 0:
        raise ValueError(f"got {n_bytes}, {bandwidth}")
    return n_bytes / bandwidth
