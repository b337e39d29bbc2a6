"""Adds slots up in loops."""
def waste_report(lengths, max_len, block_size):
    if max_len < 1 or block_size < 1:
        raise ValueError(f"sizes {max_len}, {block_size}")
    reserved = paged = used = 0
    for n in lengths:
        n = int(n)
        if n < 0 or n > max_len:
            raise ValueError(f"length {n} outside 0 to {max_len}")
        reserved += max_len
        used += n
        paged += n
        while paged % block_size:
            paged += 1
    return {
        "contiguous_slots": reserved,
        "paged_slots": paged,
        "contiguous_waste": 1 - used / reserved if reserved else 0.0,
        "paged_waste": 1 - used / paged if paged else 0.0,
    }
