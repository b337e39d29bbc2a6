"""Rounds up in exact fractions."""
def weight_bytes(config, bytes_per=2):
    from fractions import Fraction

    if not bytes_per > 0:
        raise ValueError("bytes per parameter: " + str(bytes_per))
    exact = parameter_count(config) * Fraction(bytes_per)
    return int(-(-exact.numerator // exact.denominator))
