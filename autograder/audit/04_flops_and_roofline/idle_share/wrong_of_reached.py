"""Divides by what is reached in place of the peak"""
def idle_share(intensity, peak_flops, bandwidth):
    if intensity < 0 or peak_flops <= 0 or bandwidth <= 0:
        raise ValueError(f"got {intensity}, {peak_flops}, {bandwidth}")
    return (peak_flops - min(peak_flops, intensity * bandwidth)) / max(1e-9, min(peak_flops, intensity * bandwidth))
