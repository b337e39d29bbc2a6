"""Fails when k exceeds the vocabulary."""


def top_k_filter(logits, k):
    if k < 1:
        raise ValueError(f"k is {k}")
    x = np.asarray(logits, dtype=float)
    return np.where(x >= np.sort(x, axis=-1)[..., -k, None], x, -np.inf)
