"""The bytes of chapter 3."""
def pool_blocks(config, free_bytes, block_size, bytes_per=2):
    from mini_engine.accounting import kv_bytes_per_token

    if free_bytes < 0:
        raise ValueError(f"free_bytes {free_bytes}")
    if min(block_size, bytes_per) <= 0:
        raise ValueError(f"sizes {block_size}, {bytes_per}")
    return int(free_bytes // (kv_bytes_per_token(config, bytes_per) * block_size))
