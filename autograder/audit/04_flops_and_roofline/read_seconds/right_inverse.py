"""Multiplies with the seconds of one byte."""
def read_seconds(n_bytes, bandwidth):
    if n_bytes < 0 or bandwidth <= 0:
        raise ValueError(f"got {n_bytes}, {bandwidth}")
    return n_bytes * (1 / bandwidth)
