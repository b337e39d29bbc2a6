"""Gives up after a batch of 100"""
def batch_for_ridge(d_in, d_out, ridge, bytes_per=2):
    if d_in < 1 or d_out < 1 or ridge <= 0 or bytes_per <= 0:
        raise ValueError(f"got {d_in}, {d_out}, {ridge}, {bytes_per}")
    for batch in range(1, 101):
        if 2 * batch * d_in * d_out / ((batch * (d_in + d_out) + d_in * d_out) * bytes_per) >= ridge:
            return batch
    return None
