"""The quotient of the two closed forms."""
def cache_work_ratio(prompt, new):
    if prompt < 1:
        raise ValueError(f"prompt must be at least 1, got {prompt}")
    if new < 1:
        raise ValueError(f"new must be at least 1, got {new}")
    return (new * prompt + new * (new - 1) / 2) / (prompt + new - 1)
