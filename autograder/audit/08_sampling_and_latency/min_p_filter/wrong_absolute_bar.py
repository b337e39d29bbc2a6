"""Uses min_p itself as the bar, not min_p times the largest probability."""


def min_p_filter(logits, min_p):
    if not 0 <= min_p <= 1:
        raise ValueError(f"min_p is {min_p}")
    x = np.array(logits, dtype=float)
    if min_p == 0:
        return x
    q = np.exp(x - x.max(axis=-1, keepdims=True))
    q = q / q.sum(axis=-1, keepdims=True)
    return np.where((q >= min_p) | (q == q.max(axis=-1, keepdims=True)), x, -np.inf)
