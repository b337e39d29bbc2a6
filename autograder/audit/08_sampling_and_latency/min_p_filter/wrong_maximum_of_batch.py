"""Uses the maximum of the whole batch for every row."""


def min_p_filter(logits, min_p):
    if not 0 <= min_p <= 1:
        raise ValueError(f"min_p is {min_p}")
    x = np.array(logits, dtype=float)
    if min_p == 0:
        return x
    return np.where(x >= x.max() + np.log(min_p), x, -np.inf)
