"""Adds the lengths of the passes with NumPy and gives a Python float back."""
def cache_work_ratio(prompt, new):
    if min(prompt, new) < 1:
        raise ValueError(f"need at least one token of each, got {prompt} and {new}")
    passes = np.arange(prompt, prompt + new, dtype=np.float64)
    return float(passes.sum() / passes[-1])
