"""Divides bandwidth by bytes"""
def read_seconds(n_bytes, bandwidth):
    if n_bytes < 0 or bandwidth <= 0:
        raise ValueError(f"got {n_bytes}, {bandwidth}")
    return bandwidth / n_bytes if n_bytes else 0
