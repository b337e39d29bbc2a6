"""Leaves out what the drafts cost."""
def linear_speedup(k, a, c):
    """Estimated speedup when a share `a` of k drafted tokens is accepted and a draft step costs `c` target steps.

    k: drafted tokens, 0 or more. a: 0 to 1. c: 0 or more. Returns a float. Raises ValueError outside these ranges.
    """
    if k < 0:
        raise ValueError(f"k must not be negative, got {k}")
    if not 0 <= a <= 1:
        raise ValueError(f"a is a share between 0 and 1, got {a}")
    if c < 0:
        raise ValueError(f"c must not be negative, got {c}")
    return 1 + k * a
