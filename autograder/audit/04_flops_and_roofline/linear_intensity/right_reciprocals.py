"""Adds the bytes per FLOP of each array and inverts."""
def linear_intensity(batch, d_in, d_out, bytes_per=2):
    if min(batch, d_in, d_out) < 1 or not bytes_per > 0:
        raise ValueError("impossible: " + repr([batch, d_in, d_out, bytes_per]))
    return 2 / (bytes_per * (1 / d_out + 1 / batch + 1 / d_in))
