"""Compares probabilities after a softmax."""


def min_p_filter(logits, min_p):
    if min_p < 0 or min_p > 1:
        raise ValueError(f"min_p must lie in [0, 1], not {min_p}")
    x = np.array(logits, dtype=float)
    relative = np.exp(x - x.max(axis=-1, keepdims=True))
    x[relative < min_p] = -np.inf
    return x
