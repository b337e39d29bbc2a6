"""Counts down in a copy, step by step."""
def active_counts(remaining):
    left, counts = list(remaining), []
    if any(n < 0 for n in left):
        raise ValueError(f"negative: {min(left)}")
    while any(left):
        counts.append(sum(n > 0 for n in left))
        left = [n - 1 if n else 0 for n in left]
    return counts
