"""Indexes with the KV head of every query head."""
def repeat_kv(x, n_rep):
    if n_rep < 1:
        raise ValueError(f"cannot repeat {n_rep} times")
    which = [head // n_rep for head in range(x.shape[-3] * n_rep)]
    return np.stack([x[..., head, :, :] for head in which], axis=-3)
