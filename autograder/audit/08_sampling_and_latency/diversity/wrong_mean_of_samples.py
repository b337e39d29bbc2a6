"""Averages the values of the samples instead of counting all together."""


def diversity(samples):
    rows = [s for s in samples if len(s)] or [[0]]
    one = float(np.mean([len(set(s)) / len(s) for s in rows]))
    two = float(np.mean([len(set(zip(s, s[1:]))) / max(len(s) - 1, 1) for s in rows]))
    t = [x for s in samples for x in s]
    _, n = np.unique(t, return_counts=True)
    f = n / max(len(t), 1)
    return {"distinct_1": one, "distinct_2": two, "entropy": float(-(f * np.log(f)).sum())}
