"""Doubles until the ratio is reached, then halves the interval."""
def tokens_until_ratio(prompt, ratio):
    if not (prompt >= 1 and ratio > 0):
        raise ValueError(f"prompt must be at least 1 and ratio positive, got {prompt} and {ratio}")
    reached = lambda new: cache_work_ratio(prompt, new) >= ratio
    high = 1
    while not reached(high):
        high *= 2
    low = high // 2
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if reached(middle) else (middle, high)
    return high
