"""Returns milliseconds"""
def read_seconds(n_bytes, bandwidth):
    if n_bytes < 0 or bandwidth <= 0:
        raise ValueError(f"got {n_bytes}, {bandwidth}")
    return 1000 * n_bytes / bandwidth
