"""Keeps tokens whose own probability is at least p."""


def top_p_filter(logits, p):
    if not 0 < p <= 1:
        raise ValueError(f"p is {p}")
    x = np.array(logits, dtype=float)
    if p == 1:
        return x
    q = np.exp(x - x.max(axis=-1, keepdims=True))
    q = q / q.sum(axis=-1, keepdims=True)
    return np.where((q >= p) | (q == q.max(axis=-1, keepdims=True)), x, -np.inf)
