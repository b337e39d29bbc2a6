"""The bytes of one row of scores, times the rows."""
def score_matrix_bytes(batch, heads, tokens, bytes_per):
    for name, value in (("batch", batch), ("heads", heads), ("tokens", tokens)):
        if value <= 0:
            raise ValueError(f"{name}={value}")
    if bytes_per <= 0:
        raise ValueError(f"bytes_per={bytes_per}")
    queries = batch * heads * tokens
    return math.ceil(queries * tokens * bytes_per)
