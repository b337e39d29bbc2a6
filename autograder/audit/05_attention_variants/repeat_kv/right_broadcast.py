"""Broadcasts a new axis and folds it into the heads, as transformers does."""
def repeat_kv(x, n_rep):
    if n_rep <= 0:
        raise ValueError(f"n_rep = {n_rep}")
    *lead, heads, n, d = x.shape
    wide = np.broadcast_to(np.expand_dims(x, -3), (*lead, heads, n_rep, n, d))
    return wide.reshape(*lead, heads * n_rep, n, d)
