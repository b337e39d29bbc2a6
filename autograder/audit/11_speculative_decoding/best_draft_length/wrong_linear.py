"""Maximises the envelope."""
def best_draft_length(alpha, c, k_max):
    """The number of drafted tokens, 1 to k_max, with the highest expected speedup; the smallest of equals.

    alpha: 0 to 1. c: 0 or more. Returns an int. Raises ValueError outside, or for a k_max below 1.
    """
    if k_max < 1:
        raise ValueError(f"k_max must be at least 1, got {k_max}")
    return max(range(1, k_max + 1), key=lambda k: linear_speedup(k, alpha, c))
