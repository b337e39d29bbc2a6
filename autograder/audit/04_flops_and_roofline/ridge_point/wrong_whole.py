"""Rounds the ridge down to a whole number"""
def ridge_point(peak_flops, bandwidth):
    if peak_flops <= 0 or bandwidth <= 0:
        raise ValueError(f"got {peak_flops} and {bandwidth}")
    return peak_flops // bandwidth
