"""NumPy, powers by a running product."""
def expected_tokens(alpha, k):
    if alpha < 0 or alpha > 1:
        raise ValueError(f"alpha={alpha}")
    if k < 0:
        raise ValueError(f"k={k}")
    return 1.0 + float(np.cumprod(np.full(k, float(alpha))).sum())
