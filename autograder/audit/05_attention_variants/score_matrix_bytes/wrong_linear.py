"""Counts one score per token."""
def score_matrix_bytes(batch, heads, tokens, bytes_per):
    for count in (batch, heads, tokens):
        if count < 1:
            raise ValueError(f"a count must be at least 1, got {count}")
    if bytes_per <= 0:
        raise ValueError(f"bytes_per must be positive, got {bytes_per}")
    return math.ceil(batch * heads * tokens * bytes_per)
