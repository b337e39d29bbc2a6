"""Lets n_rep = 0 through: an array without heads."""
def repeat_kv(x, n_rep):
    if n_rep < 0:
        raise ValueError(f"n_rep must be at least 0, got {n_rep}")
    return np.repeat(x, n_rep, axis=-3)
