"""Divides bandwidth by peak: bytes per FLOP"""
def ridge_point(peak_flops, bandwidth):
    if peak_flops <= 0 or bandwidth <= 0:
        raise ValueError(f"got {peak_flops} and {bandwidth}")
    return bandwidth / peak_flops
