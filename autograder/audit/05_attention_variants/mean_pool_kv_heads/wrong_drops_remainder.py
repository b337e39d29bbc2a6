"""Accepts columns that do not split into the heads."""
def mean_pool_kv_heads(w_k, n_heads, n_kv_heads):
    if n_kv_heads < 1 or n_heads < 1 or n_heads % n_kv_heads:
        raise ValueError(f"{n_heads} heads cannot be pooled to {n_kv_heads}")
    num_rows, num_columns = w_k.shape
    num_columns -= num_columns % n_heads
    w_k = w_k[:, :num_columns]
    heads = w_k.reshape(num_rows, n_kv_heads, n_heads // n_kv_heads, num_columns // n_heads)
    return heads.mean(axis=2).reshape(num_rows, -1)
