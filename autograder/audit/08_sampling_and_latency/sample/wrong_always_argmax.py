"""Always returns the likeliest token."""


def sample(logits, rng, temperature=1.0, top_k=None, top_p=None, min_p=None):
    x = apply_temperature(logits, temperature)
    x = x if top_k is None else top_k_filter(x, top_k)
    x = x if top_p is None else top_p_filter(x, top_p)
    x = x if min_p is None else min_p_filter(x, min_p)
    ids = x.argmax(axis=-1)
    return int(ids) if x.ndim == 1 else ids
