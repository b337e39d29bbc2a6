"""Counts with collections.Counter."""


def diversity(samples):
    import math
    from collections import Counter

    ones = Counter(x for s in samples for x in s)
    twos = Counter((a, b) for s in samples for a, b in zip(s[:-1], s[1:]))
    n, m = sum(ones.values()), sum(twos.values())
    return {
        "distinct_1": len(ones) / n if n else 0.0,
        "distinct_2": len(twos) / m if m else 0.0,
        "entropy": math.fsum(-c / n * math.log(c / n) for c in ones.values()) if n else 0.0,
    }
