"""Repeats the tokens instead of the heads."""
def repeat_kv(x, n_rep):
    if n_rep < 1:
        raise ValueError(f"n_rep must be at least 1, got {n_rep}")
    return np.repeat(x, n_rep, axis=-2)
