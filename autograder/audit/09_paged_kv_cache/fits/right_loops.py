"""Places the request."""
def fits(free_runs, num_tokens, block_size):
    if block_size < 1:
        raise ValueError(f"block_size {block_size}")
    if num_tokens < 0:
        raise ValueError(f"num_tokens {num_tokens}")
    one_piece, left = num_tokens == 0, num_tokens
    for run in free_runs:
        if run < 0:
            raise ValueError(f"stretch {run}")
        if run >= num_tokens:
            one_piece = True
        while run >= block_size:
            run -= block_size
            left -= block_size
    return one_piece, left <= 0
