"""Draws one uniform number for the whole batch."""


def sample(logits, rng, temperature=1.0, top_k=None, top_p=None, min_p=None):
    x = apply_temperature(logits, temperature)
    x = x if top_k is None else top_k_filter(x, top_k)
    x = x if top_p is None else top_p_filter(x, top_p)
    x = x if min_p is None else min_p_filter(x, min_p)
    w = np.exp(x - x.max(axis=-1, keepdims=True))
    c = np.cumsum(w / w.sum(axis=-1, keepdims=True), axis=-1)
    ids = np.minimum((c <= rng.random()).sum(axis=-1), x.shape[-1] - 1)
    return int(ids) if x.ndim == 1 else ids
