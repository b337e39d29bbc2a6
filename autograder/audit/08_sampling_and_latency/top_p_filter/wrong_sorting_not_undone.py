"""Cuts in sorted order and never carries the cut back to the token ids."""


def top_p_filter(logits, p):
    if not 0 < p <= 1:
        raise ValueError(f"p is {p}")
    x = np.array(logits, dtype=float)
    if p == 1:
        return x
    order = np.argsort(-x, axis=-1, kind="stable")
    z = np.take_along_axis(x, order, axis=-1)
    q = np.exp(z - z[..., :1])
    q = q / q.sum(axis=-1, keepdims=True)
    total = np.cumsum(q, axis=-1)
    keep = total - q < p
    out = np.empty_like(x)
    out = np.where(keep, x, -np.inf)
    return out
