"""Hashes the whole prefix for each block."""
def prefix_hashes(token_ids, block_size):
    if block_size <= 0:
        raise ValueError(f"block_size {block_size}")
    ids = [str(int(t)) for t in token_ids]
    count = len(ids) // block_size
    return [hashlib.md5(",".join(ids[: (i + 1) * block_size]).encode()).hexdigest() for i in range(count)]
