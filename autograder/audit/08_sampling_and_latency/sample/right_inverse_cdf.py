"""Inverts the cumulative distribution for all rows at once."""


def sample(logits, rng, temperature=1.0, top_k=None, top_p=None, min_p=None):
    x = apply_temperature(logits, temperature)
    x = x if top_k is None else top_k_filter(x, top_k)
    x = x if top_p is None else top_p_filter(x, top_p)
    x = x if min_p is None else min_p_filter(x, min_p)
    w = np.exp(x - x.max(axis=-1, keepdims=True))
    c = np.cumsum(w, axis=-1)
    u = rng.random(x.shape[:-1] + (1,)) * c[..., -1:]
    ids = (c <= u).sum(axis=-1)
    return int(ids) if x.ndim == 1 else ids
