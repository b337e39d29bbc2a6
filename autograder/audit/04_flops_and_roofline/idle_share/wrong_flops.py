"""Returns the idle FLOP/s, not their share"""
def idle_share(intensity, peak_flops, bandwidth):
    if intensity < 0 or peak_flops <= 0 or bandwidth <= 0:
        raise ValueError(f"got {intensity}, {peak_flops}, {bandwidth}")
    return peak_flops - min(peak_flops, intensity * bandwidth)
