"""Divides whole numbers: accepts heads that cannot be shared."""
def gqa_cache_saving(n_heads, n_kv_heads):
    for count in (n_heads, n_kv_heads):
        if count < 1:
            raise ValueError(f"a number of heads must be at least 1, got {count}")
    return float(n_heads // n_kv_heads)
