"""Exact rational arithmetic, rounded up by negative floor division."""
from fractions import Fraction
def kv_cache_bytes(batch, layers, tokens, kv_heads, head_dim, bytes_per):
    sizes = [batch, layers, tokens, kv_heads, head_dim]
    if min(sizes) < 0:
        raise ValueError(f"negative count {min(sizes)}")
    if bytes_per <= 0:
        raise ValueError(f"bytes_per {bytes_per}")
    total = Fraction(bytes_per) * 2
    for size in sizes:
        total *= size
    return -(-total.numerator // total.denominator)
