"""Takes exp of the raw logits, which overflows."""


def top_p_filter(logits, p):
    if not 0 < p <= 1:
        raise ValueError(f"p is {p}")
    x = np.array(logits, dtype=float)
    if p == 1:
        return x
    q = np.exp(x) / np.exp(x).sum(axis=-1, keepdims=True)
    order = np.argsort(-q, axis=-1, kind="stable")
    s = np.take_along_axis(q, order, axis=-1)
    keep = np.empty(x.shape, dtype=bool)
    np.put_along_axis(keep, order, np.cumsum(s, -1) - s < p, axis=-1)
    return np.where(keep, x, -np.inf)
