"""Drops the token that crosses p."""


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
    keep = total <= p
    out = np.empty_like(x)
    np.put_along_axis(out, order, np.where(keep, z, -np.inf), axis=-1)
    return out
