"""Counts a last step in which nobody is active any more."""
def active_counts(remaining):
    """Active requests in each step of a static batch.

    remaining: list of ints, 0 or more, the tokens that each request still needs. Returns a list of ints.
    Raises ValueError for a negative number.
    """
    for count in remaining:
        if count < 0:
            raise ValueError(f"a request cannot need {count} tokens")
    return [sum(count > step for count in remaining) for step in range(max(remaining, default=0) + 1)]
