"""Tiles the heads: A, B, A, B in place of A, A, B, B."""
def repeat_kv(x, n_rep):
    if n_rep < 1:
        raise ValueError(f"n_rep must be at least 1, got {n_rep}")
    return np.concatenate([x] * n_rep, axis=-3)
