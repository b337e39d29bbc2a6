"""Collects the column slices of each group and averages them."""
def mean_pool_kv_heads(w_k, n_heads, n_kv_heads):
    if n_heads <= 0 or n_kv_heads <= 0:
        raise ValueError(f"bad head counts {n_heads}, {n_kv_heads}")
    group, rest = divmod(n_heads, n_kv_heads)
    if rest:
        raise ValueError(f"{n_heads} is not a multiple of {n_kv_heads}")
    if w_k.shape[1] % n_heads:
        raise ValueError(f"{w_k.shape[1]} columns")
    slices = np.split(w_k, n_heads, axis=1)
    return np.hstack([sum(slices[g * group : (g + 1) * group]) / group for g in range(n_kv_heads)])
