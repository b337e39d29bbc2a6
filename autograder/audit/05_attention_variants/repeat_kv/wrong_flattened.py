"""Repeats without an axis and reshapes: every number stands next to its copies."""
def repeat_kv(x, n_rep):
    if n_rep < 1:
        raise ValueError(f"n_rep must be at least 1, got {n_rep}")
    return np.repeat(x, n_rep).reshape(*x.shape[:-3], x.shape[-3] * n_rep, *x.shape[-2:])
