"""Returns the limit n / 2 for every size."""
def cache_work_ratio(prompt, new):
    if new < 1 or prompt < 1:
        raise ValueError(f"prompt and new must be at least 1, got {prompt} and {new}")
    return new / 2
