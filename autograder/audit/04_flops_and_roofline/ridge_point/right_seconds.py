"""Compares the time of a byte with the time of a FLOP."""
def ridge_point(peak_flops, bandwidth):
    if not peak_flops > 0:
        raise ValueError(f"peak_flops {peak_flops}")
    if not bandwidth > 0:
        raise ValueError(f"bandwidth {bandwidth}")
    seconds_per_byte, seconds_per_flop = 1 / bandwidth, 1 / peak_flops
    return seconds_per_byte / seconds_per_flop
