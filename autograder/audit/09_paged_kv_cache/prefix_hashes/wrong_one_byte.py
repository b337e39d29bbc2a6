"""Keeps one byte per token."""
def prefix_hashes(token_ids, block_size):
    if block_size < 1:
        raise ValueError(f"block_size must be at least 1, got {block_size}")
    names, parent = [], ""
    for end in range(block_size, len(token_ids) + 1, block_size):
        tokens = [int(token) for token in token_ids[end - block_size : end]]
        parent = hashlib.sha256(repr((parent, [token % 256 for token in tokens])).encode()).hexdigest()
        names.append(parent)
    return names
