"""Applies top-p before top-k."""


def sample(logits, rng, temperature=1.0, top_k=None, top_p=None, min_p=None):
    x = apply_temperature(logits, temperature)
    x = x if top_p is None else top_p_filter(x, top_p)
    x = x if top_k is None else top_k_filter(x, top_k)
    x = x if min_p is None else min_p_filter(x, min_p)
    w = np.exp(x - x.max(axis=-1, keepdims=True))
    q = w / w.sum(axis=-1, keepdims=True)
    if q.ndim == 1:
        return int(rng.choice(len(q), p=q))
    return np.array([rng.choice(r.size, p=r) for r in q])
