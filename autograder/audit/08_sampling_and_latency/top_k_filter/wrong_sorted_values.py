"""Returns the k largest in sorted order, away from their token ids."""


def top_k_filter(logits, k):
    if k < 1:
        raise ValueError(f"k is {k}")
    x = np.asarray(logits, dtype=float)
    k = min(k, x.shape[-1])
    y = -np.sort(-x, axis=-1)
    y[..., k:] = -np.inf
    return y
