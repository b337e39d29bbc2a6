"""A dot product of powers."""
def expected_speedup(alpha, k, c):
    for name, value, ok in (("alpha", alpha, 0 <= alpha <= 1), ("k", k, k >= 0), ("c", c, c >= 0)):
        if not ok:
            raise ValueError(f"{name}={value}")
    return float(np.power(float(alpha), np.arange(k + 1)).sum() / (1 + k * c))
