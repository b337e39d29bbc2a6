"""Uses ln n minus the weighted mean of ln counts."""


def diversity(samples):
    tokens = sum((list(s) for s in samples), [])
    pairs = {(s[i], s[i + 1]) for s in samples for i in range(len(s) - 1)}
    num_pairs = sum(max(len(s) - 1, 0) for s in samples)
    if not tokens:
        return dict(distinct_1=0.0, distinct_2=0.0, entropy=0.0)
    counts = np.array([tokens.count(t) for t in set(tokens)])
    n = len(tokens)
    return dict(distinct_1=len(counts) / n, distinct_2=len(pairs) / num_pairs if num_pairs else 0.0, entropy=float(np.log(n) - (counts * np.log(counts)).sum() / n))
