"""Divides bandwidth by intensity"""
def roofline(intensity, peak_flops, bandwidth):
    if intensity < 0 or peak_flops <= 0 or bandwidth <= 0:
        raise ValueError(f"got {intensity}, {peak_flops}, {bandwidth}")
    return min(peak_flops, bandwidth / intensity if intensity else 0)
