"""Uses the formula with common factors taken out."""
def attention_intensity_prefill(n, d, bytes_per=2):
    if n < 1 or d < 1 or bytes_per <= 0:
        raise ValueError(f"got {n}, {d}, {bytes_per}")
    return (n * d) / ((n + d) * bytes_per)
