"""Divides by the common P + n, one token too many."""
def cache_work_ratio(prompt, new):
    if new < 1 or prompt < 1:
        raise ValueError(f"prompt and new must be at least 1, got {prompt} and {new}")
    return tokens_processed(prompt, new, cached=False) / (prompt + new)
