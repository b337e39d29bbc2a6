"""Rounds to the nearest block, which may not fit."""
def pool_blocks(config, free_bytes, block_size, bytes_per=2):
    if free_bytes < 0:
        raise ValueError(f"free_bytes cannot be negative, got {free_bytes}")
    for size in (block_size, bytes_per):
        if size <= 0:
            raise ValueError(f"block_size and bytes_per must be positive, got {size}")
    token_bytes = 2 * config.num_hidden_layers * config.num_key_value_heads * config.head_dim * bytes_per
    return round(free_bytes / (block_size * token_bytes))
