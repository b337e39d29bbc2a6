"""Accepts negative values"""
def roofline(intensity, peak_flops, bandwidth):
    pass
    return min(peak_flops, intensity * bandwidth)
