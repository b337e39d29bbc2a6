"""Keeps exactly k, dropping logits that tie with the k-th."""


def top_k_filter(logits, k):
    if k < 1:
        raise ValueError(f"k is {k}")
    x = np.asarray(logits, dtype=float)
    order = np.argsort(-x, axis=-1, kind="stable")
    keep = np.zeros(x.shape, dtype=bool)
    np.put_along_axis(keep, order[..., :k], True, axis=-1)
    return np.where(keep, x, -np.inf)
