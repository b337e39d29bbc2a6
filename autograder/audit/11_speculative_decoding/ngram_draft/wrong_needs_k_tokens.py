"""Only takes places that k tokens follow."""
def ngram_draft(ids, n, k):
    """Up to k tokens that followed the latest earlier occurrence of the last n tokens; [] when there is none.

    ids: the text so far, a list or an array of ints. n: 1 or more. k: 0 or more. Raises ValueError outside.
    """
    if n < 1:
        raise ValueError(f"n must be at least 1, got {n}")
    if k < 0:
        raise ValueError(f"k must not be negative, got {k}")
    ids = [int(token) for token in ids]
    for start in range(len(ids) - n - max(k, 1), -1, -1):
        if ids[start : start + n] == ids[-n:]:
            return ids[start + n : start + n + k]
    return []
