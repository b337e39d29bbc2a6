"""Ignores the activations: batch = ridge · bytes / 2"""
def batch_for_ridge(d_in, d_out, ridge, bytes_per=2):
    if d_in < 1 or d_out < 1 or ridge <= 0 or bytes_per <= 0:
        raise ValueError(f"got {d_in}, {d_out}, {ridge}, {bytes_per}")
    return math.ceil(ridge * bytes_per / 2)
