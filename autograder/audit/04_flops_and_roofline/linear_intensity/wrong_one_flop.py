"""Counts a multiply-add as one FLOP"""
def linear_intensity(batch, d_in, d_out, bytes_per=2):
    if batch < 1 or d_in < 1 or d_out < 1 or bytes_per <= 0:
        raise ValueError(f"got {batch}, {d_in}, {d_out}, {bytes_per}")
    return batch * d_in * d_out / ((batch * d_in + d_in * d_out + batch * d_out) * bytes_per)
