"""Stops one power too early."""
def expected_tokens(alpha, k):
    """Mean tokens per pass of the target when each of k drafted tokens is accepted with chance alpha.

    alpha: 0 to 1. k: 0 or more. Correction or bonus token included. Raises ValueError outside.
    """
    if not 0 <= alpha <= 1:
        raise ValueError(f"alpha is a probability, got {alpha}")
    if k < 0:
        raise ValueError(f"k must not be negative, got {k}")
    return sum(alpha**i for i in range(k))
