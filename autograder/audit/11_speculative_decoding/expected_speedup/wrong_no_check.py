"""Accepts a negative cost."""
def expected_speedup(alpha, k, c):
    """Wall-time gain of speculation: k drafts accepted with chance alpha, each costing c target steps.

    alpha: 0 to 1. k: 0 or more. c: 0 or more. Returns a float; below 1 is a loss. Raises ValueError outside.
    """
    return expected_tokens(alpha, k) / (1 + k * c)
