"""Adds the free slots up, as if a block could straddle two stretches."""
def fits(free_runs, num_tokens, block_size):
    if block_size < 1:
        raise ValueError(f"block_size must be at least 1, got {block_size}")
    for size in (num_tokens, *free_runs):
        if size < 0:
            raise ValueError(f"sizes cannot be negative, got {size}")
    free_blocks = sum(free_runs) // block_size
    return max(free_runs, default=0) >= num_tokens, free_blocks >= -(-num_tokens // block_size)
