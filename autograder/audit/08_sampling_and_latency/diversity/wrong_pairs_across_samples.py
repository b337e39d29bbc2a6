"""Counts pairs that reach across two samples."""


def diversity(samples):
    t = [x for s in samples for x in s]
    pairs = list(zip(t, t[1:]))
    _, n = np.unique(t, return_counts=True)
    f = n / max(len(t), 1)
    return {"distinct_1": len(set(t)) / max(len(t), 1), "distinct_2": len(set(pairs)) / max(len(pairs), 1), "entropy": float(-(f * np.log(f)).sum())}
