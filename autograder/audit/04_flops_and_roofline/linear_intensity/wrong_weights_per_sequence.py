"""Reads the weights again for every sequence: no reuse"""
def linear_intensity(batch, d_in, d_out, bytes_per=2):
    if batch < 1 or d_in < 1 or d_out < 1 or bytes_per <= 0:
        raise ValueError(f"got {batch}, {d_in}, {d_out}, {bytes_per}")
    return 2 * d_in * d_out / ((d_in + d_in * d_out + d_out) * bytes_per)
