"""Rounds the ratio down to a whole number."""
def cache_work_ratio(prompt, new):
    if new < 1:
        raise ValueError(f"new must be at least 1, got {new}")
    return float(tokens_processed(prompt, new, cached=False) // tokens_processed(prompt, new, cached=True))
