"""Returns wasted slots in place of a fraction."""
def waste_report(lengths, max_len, block_size):
    for size in (max_len, block_size):
        if size < 1:
            raise ValueError(f"max_len and block_size must be at least 1, got {size}")
    for length in lengths:
        if not 0 <= length <= max_len:
            raise ValueError(f"a length must be from 0 to max_len = {max_len}, got {length}")
    tokens = sum(lengths)
    slots = {
        "contiguous": len(lengths) * max_len,
        "paged": sum(-(-length // block_size) * block_size for length in lengths),
    }
    report = {f"{kind}_slots": int(count) for kind, count in slots.items()}
    return report | {
        f"{kind}_waste": float(count - tokens) if count else 0.0 for kind, count in slots.items()
    }
