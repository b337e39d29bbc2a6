"""The number of query heads in a group, as a float."""
def gqa_cache_saving(n_heads, n_kv_heads):
    if min(n_heads, n_kv_heads) <= 0:
        raise ValueError(f"heads must be positive: {n_heads}, {n_kv_heads}")
    group, rest = divmod(n_heads, n_kv_heads)
    if rest or not group:
        raise ValueError(f"{n_kv_heads} does not divide {n_heads}")
    return float(group)
