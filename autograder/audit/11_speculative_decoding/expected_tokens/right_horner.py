"""Horner's rule."""
def expected_tokens(alpha, k):
    if k < 0 or alpha < 0 or alpha > 1:
        raise ValueError(f"alpha={alpha}, k={k}")
    total = 1.0
    for _ in range(k):
        total = 1 + alpha * total
    return total
