"""Divides the wrong way round."""
def cache_work_ratio(prompt, new):
    if new < 1:
        raise ValueError(f"new must be at least 1, got {new}")
    return tokens_processed(prompt, new, cached=True) / tokens_processed(prompt, new, cached=False)
