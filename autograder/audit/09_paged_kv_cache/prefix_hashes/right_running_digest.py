"""One running digest over 8-byte tokens."""
def prefix_hashes(token_ids, block_size):
    if block_size < 1:
        raise ValueError(f"block_size {block_size}")
    running, names = hashlib.blake2b(digest_size=16), []
    for i, token in enumerate(token_ids, start=1):
        running.update(int(token).to_bytes(8, "little", signed=True))
        if i % block_size == 0:
            names.append(running.hexdigest())
    return names
