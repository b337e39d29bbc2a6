"""Without the earlier function."""
def expected_speedup(alpha, k, c):
    if not 0 <= alpha <= 1:
        raise ValueError(f"alpha {alpha}")
    if k < 0 or c < 0:
        raise ValueError(f"k {k}, c {c}")
    tokens = k + 1 if alpha == 1 else (1 - alpha ** (k + 1)) / (1 - alpha)
    return tokens / (k * c + 1)
