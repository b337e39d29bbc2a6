"""Walks down each row until the sum reaches p."""


def top_p_filter(logits, p):
    if p <= 0 or p > 1:
        raise ValueError(f"p must lie in (0, 1], not {p}")
    x = np.asarray(logits, dtype=float)
    out = np.full(x.shape, -np.inf)
    flat_in, flat_out = x.reshape(-1, x.shape[-1]), out.reshape(-1, x.shape[-1])
    for source, target in zip(flat_in, flat_out):
        weights = np.exp(source - source.max())
        mass, total = 0.0, weights.sum()
        for token in sorted(range(len(source)), key=lambda i: -source[i]):
            if p < 1 and mass >= p * total * (1 - 1e-15):
                break
            target[token] = source[token]
            mass += weights[token]
    return out
