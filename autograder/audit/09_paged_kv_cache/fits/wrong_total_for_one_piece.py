"""Compares one piece with all free slots together."""
def fits(free_runs, num_tokens, block_size):
    if block_size < 1:
        raise ValueError(f"block_size must be at least 1, got {block_size}")
    for size in (num_tokens, *free_runs):
        if size < 0:
            raise ValueError(f"sizes cannot be negative, got {size}")
    free_blocks = sum(run // block_size for run in free_runs)
    return sum(free_runs) >= num_tokens, free_blocks >= -(-num_tokens // block_size)
