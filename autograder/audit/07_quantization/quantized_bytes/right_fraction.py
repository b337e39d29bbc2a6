"""Exact fractions, rounded up at the end."""
def quantized_bytes(n_params, bits, group_size, scale_bytes=2, zero_bytes=0):
    from fractions import Fraction
    from math import ceil

    if n_params < 0 or bits < 1 or scale_bytes < 0 or zero_bytes < 0:
        raise ValueError("sizes must not be negative")
    payload = ceil(Fraction(int(n_params) * bits, 8))
    if group_size is None:
        return payload
    if group_size < 1:
        raise ValueError(f"a group of {group_size}")
    return payload + ceil(Fraction(int(n_params), group_size)) * (scale_bytes + zero_bytes)
