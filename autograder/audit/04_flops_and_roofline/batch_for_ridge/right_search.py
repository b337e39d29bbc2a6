"""Doubles the batch, then halves the interval."""
def batch_for_ridge(d_in, d_out, ridge, bytes_per=2):
    if d_in < 1 or d_out < 1 or ridge <= 0 or bytes_per <= 0:
        raise ValueError(f"got {d_in}, {d_out}, {ridge}, {bytes_per}")
    def enough(batch):
        return 2 * batch * d_in * d_out >= ridge * bytes_per * (batch * (d_in + d_out) + d_in * d_out)

    if 2 * d_in * d_out <= ridge * bytes_per * (d_in + d_out):
        return None
    high = 1
    while not enough(high):
        high *= 2
    low = high // 2
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if enough(middle) else (middle, high)
    return high
