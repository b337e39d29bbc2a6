"""Rounds the batch down, so that it is one short"""
def batch_for_ridge(d_in, d_out, ridge, bytes_per=2):
    if d_in < 1 or d_out < 1 or ridge <= 0 or bytes_per <= 0:
        raise ValueError(f"got {d_in}, {d_out}, {ridge}, {bytes_per}")
    gain = 2 * d_in * d_out - ridge * bytes_per * (d_in + d_out)
    return None if gain <= 0 else max(1, int(ridge * bytes_per * d_in * d_out / gain))
