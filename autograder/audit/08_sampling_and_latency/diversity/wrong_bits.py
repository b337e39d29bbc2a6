"""Gives the entropy in bits."""


def diversity(samples):
    t = [x for s in samples for x in s]
    pairs = [q for s in samples for q in zip(s, s[1:])]
    _, n = np.unique(t, return_counts=True)
    f = n / max(len(t), 1)
    return {"distinct_1": len(set(t)) / max(len(t), 1), "distinct_2": len(set(pairs)) / max(len(pairs), 1), "entropy": float(-(f * np.log2(f)).sum())}
