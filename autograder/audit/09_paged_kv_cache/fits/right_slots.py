"""Compares slots in whole blocks."""
def fits(free_runs, num_tokens, block_size):
    bad = [n for n in [num_tokens, *free_runs] if n < 0]
    if bad or block_size < 1:
        raise ValueError(f"sizes {bad}, block_size {block_size}")
    usable = sum(run - run % block_size for run in free_runs)
    return any(run >= num_tokens for run in [0, *free_runs]), usable >= num_tokens
