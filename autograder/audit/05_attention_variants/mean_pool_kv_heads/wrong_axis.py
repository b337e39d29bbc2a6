"""Averages within a head instead of across the heads of a group."""
def mean_pool_kv_heads(w_k, n_heads, n_kv_heads):
    if n_kv_heads < 1 or n_heads < 1 or n_heads % n_kv_heads:
        raise ValueError(f"{n_heads} heads cannot be pooled to {n_kv_heads}")
    num_rows, num_columns = w_k.shape
    if num_columns % n_heads:
        raise ValueError(f"{num_columns} columns do not split into {n_heads} heads")
    heads = w_k.reshape(num_rows, n_kv_heads, n_heads // n_kv_heads, num_columns // n_heads)
    return np.repeat(heads.mean(axis=3), 1).reshape(num_rows, n_kv_heads, -1, 1).repeat(num_columns // n_heads, 3)[:, :, 0].reshape(num_rows, -1)
