"""Finds the threshold with np.partition."""


def top_k_filter(logits, k):
    if k <= 0:
        raise ValueError(f"k must be positive, not {k}")
    x = np.array(logits, dtype=float)
    if k < x.shape[-1]:
        x[x < np.partition(x, -k, axis=-1)[..., -k : x.shape[-1] - k + 1]] = -np.inf
    return x
