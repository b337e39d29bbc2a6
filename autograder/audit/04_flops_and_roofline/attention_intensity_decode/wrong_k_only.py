"""Reads K and forgets V"""
def attention_intensity_decode(n, d, bytes_per=2):
    if n < 1 or d < 1 or bytes_per <= 0:
        raise ValueError(f"got {n}, {d}, {bytes_per}")
    return (4 * n * d) / ((n * d + 2 * d + 4 * n) * bytes_per)
