"""Exact fractions."""
def pool_blocks(config, free_bytes, block_size, bytes_per=2):
    from fractions import Fraction

    if free_bytes < 0 or block_size <= 0 or bytes_per <= 0:
        raise ValueError(f"{free_bytes} {block_size} {bytes_per}")
    numbers = config.num_key_value_heads * config.head_dim * config.num_hidden_layers * 2
    return Fraction(free_bytes) // (Fraction(bytes_per) * numbers * block_size)
