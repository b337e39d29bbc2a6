"""Uses the formula with common factors taken out."""
def attention_intensity_decode(n, d, bytes_per=2):
    if n < 1 or d < 1 or bytes_per <= 0:
        raise ValueError(f"got {n}, {d}, {bytes_per}")
    return (2 * n * d) / ((n * d + d + 2 * n) * bytes_per)
