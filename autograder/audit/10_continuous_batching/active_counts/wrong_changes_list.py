"""Counts down in the caller's own list."""
def active_counts(remaining):
    """Active requests in each step of a static batch.

    remaining: list of ints, 0 or more, the tokens that each request still needs. Returns a list of ints.
    Raises ValueError for a negative number.
    """
    for count in remaining:
        if count < 0:
            raise ValueError(f"a request cannot need {count} tokens")
    counts = []
    while any(remaining):
        counts.append(sum(count > 0 for count in remaining))
        for i, count in enumerate(remaining):
            remaining[i] = max(count - 1, 0)
    return counts
