"""The closed form, computed without loss near 1."""
def expected_tokens(alpha, k):
    if not (0 <= alpha <= 1 and k >= 0):
        raise ValueError(f"alpha {alpha} or k {k} is out of range")
    if alpha == 1:
        return float(k + 1)
    if alpha == 0:
        return 1.0
    return math.expm1((k + 1) * math.log(alpha)) / math.expm1(math.log(alpha))
