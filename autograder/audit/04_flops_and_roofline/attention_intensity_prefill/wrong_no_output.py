"""Forgets that O is written"""
def attention_intensity_prefill(n, d, bytes_per=2):
    if n < 1 or d < 1 or bytes_per <= 0:
        raise ValueError(f"got {n}, {d}, {bytes_per}")
    return (4 * n * n * d) / ((3 * n * d + 4 * n * n) * bytes_per)
