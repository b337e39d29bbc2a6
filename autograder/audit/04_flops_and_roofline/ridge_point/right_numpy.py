"""Divides with NumPy."""
def ridge_point(peak_flops, bandwidth):
    import numpy as np

    values = np.array([peak_flops, bandwidth], dtype=float)
    if np.any(values <= 0):
        raise ValueError(f"not positive: {peak_flops}, {bandwidth}")
    return float(np.divide(*values))
