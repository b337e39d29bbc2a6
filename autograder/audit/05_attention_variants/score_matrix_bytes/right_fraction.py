"""Exact fractions, rounded up."""
from fractions import Fraction
def score_matrix_bytes(batch, heads, tokens, bytes_per):
    sizes = (batch, heads, tokens, bytes_per)
    if min(batch, heads, tokens) < 1 or not bytes_per > 0:
        raise ValueError(f"sizes {sizes}")
    return math.ceil(Fraction(bytes_per) * batch * heads * tokens * tokens)
