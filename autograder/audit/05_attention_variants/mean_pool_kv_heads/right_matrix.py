"""Multiplies with a pooling matrix made by a Kronecker product."""
def mean_pool_kv_heads(w_k, n_heads, n_kv_heads):
    if not (n_heads >= 1 and n_kv_heads >= 1 and n_heads % n_kv_heads == 0 and w_k.shape[1] % n_heads == 0):
        raise ValueError(f"cannot pool {w_k.shape[1]} columns of {n_heads} heads to {n_kv_heads}")
    group, dim = n_heads // n_kv_heads, w_k.shape[1] // n_heads
    pool = np.kron(np.eye(n_kv_heads), np.kron(np.full((group, 1), 1 / group), np.eye(dim)))
    return w_k @ pool
