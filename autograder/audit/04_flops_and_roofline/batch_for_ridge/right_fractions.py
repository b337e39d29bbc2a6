"""Solves the equation in exact fractions."""
def batch_for_ridge(d_in, d_out, ridge, bytes_per=2):
    if d_in < 1 or d_out < 1 or ridge <= 0 or bytes_per <= 0:
        raise ValueError(f"got {d_in}, {d_out}, {ridge}, {bytes_per}")
    from fractions import Fraction

    share = Fraction(1, d_in) + Fraction(1, d_out)
    slack = Fraction(2) / (Fraction(ridge) * Fraction(bytes_per)) - share
    if slack <= 0:
        return None
    return math.ceil(1 / slack)
