"""Accepts a negative number of tokens."""
def active_counts(remaining):
    """Active requests in each step of a static batch.

    remaining: list of ints, 0 or more, the tokens that each request still needs. Returns a list of ints.
    Raises ValueError for a negative number.
    """
    for count in remaining:
        pass
    return [sum(count > step for count in remaining) for step in range(max(remaining, default=0))]
