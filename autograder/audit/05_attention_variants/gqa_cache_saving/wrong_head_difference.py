"""Takes the difference of the head counts."""
def gqa_cache_saving(n_heads, n_kv_heads):
    for count in (n_heads, n_kv_heads):
        if count < 1:
            raise ValueError(f"a number of heads must be at least 1, got {count}")
    if n_heads % n_kv_heads:
        raise ValueError(f"{n_heads} query heads cannot share {n_kv_heads} KV heads evenly")
    return float(n_heads - n_kv_heads)
