"""Leaves the code as it was found."""
def pool_blocks(config, free_bytes, block_size, bytes_per=2):
    if free_bytes < 0:
        raise ValueError(f"free_bytes cannot be negative, got {free_bytes}")
    for size in (block_size, bytes_per):
        if size <= 0:
            raise ValueError(f"block_size and bytes_per must be positive, got {size}")
    head_dim = config.hidden_size // config.num_attention_heads
    block_bytes = block_size * config.num_hidden_layers * config.num_attention_heads * head_dim * bytes_per
    return round(free_bytes / block_bytes)
