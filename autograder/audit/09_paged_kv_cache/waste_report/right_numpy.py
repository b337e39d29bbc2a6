"""Arrays in place of loops."""
def waste_report(lengths, max_len, block_size):
    n = np.asarray(lengths, dtype=np.int64)
    if max_len < 1 or block_size < 1:
        raise ValueError(f"max_len {max_len}, block_size {block_size}")
    if n.size and (n.min() < 0 or n.max() > max_len):
        raise ValueError(f"lengths from {n.min()} to {n.max()}, max_len {max_len}")
    slots = np.array([n.size * max_len, ((n + block_size - 1) // block_size * block_size).sum()])
    waste = 1 - n.sum() / np.where(slots > 0, slots, 1)
    waste[slots == 0] = 0
    return {
        "contiguous_slots": int(slots[0]),
        "paged_slots": int(slots[1]),
        "contiguous_waste": float(waste[0]),
        "paged_waste": float(waste[1]),
    }
