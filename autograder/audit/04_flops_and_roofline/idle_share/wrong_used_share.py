"""Returns the share in use"""
def idle_share(intensity, peak_flops, bandwidth):
    if intensity < 0 or peak_flops <= 0 or bandwidth <= 0:
        raise ValueError(f"got {intensity}, {peak_flops}, {bandwidth}")
    return min(1, intensity * bandwidth / peak_flops)
