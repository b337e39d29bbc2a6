"""Returns the peak whatever the intensity"""
def roofline(intensity, peak_flops, bandwidth):
    if intensity < 0 or peak_flops <= 0 or bandwidth <= 0:
        raise ValueError(f"got {intensity}, {peak_flops}, {bandwidth}")
    return peak_flops
