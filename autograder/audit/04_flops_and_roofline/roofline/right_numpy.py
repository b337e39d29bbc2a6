"""Takes NumPy's minimum."""
def roofline(intensity, peak_flops, bandwidth):
    import numpy as np

    if intensity < 0 or min(peak_flops, bandwidth) <= 0:
        raise ValueError(f"cannot draw a roof with {intensity}, {peak_flops}, {bandwidth}")
    return np.minimum(float(peak_flops), float(intensity) * float(bandwidth))
