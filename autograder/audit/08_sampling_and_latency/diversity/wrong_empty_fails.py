"""Fails where there is nothing to count."""


def diversity(samples):
    t = [x for s in samples for x in s]
    pairs = [q for s in samples for q in zip(s, s[1:])]
    _, n = np.unique(t, return_counts=True)
    f = n / len(t)
    return {"distinct_1": len(set(t)) / len(t), "distinct_2": len(set(pairs)) / len(pairs), "entropy": float(-(f * np.log(f)).sum())}
