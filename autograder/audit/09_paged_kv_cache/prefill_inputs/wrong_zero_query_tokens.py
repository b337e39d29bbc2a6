"""Mends the positions and still feeds no token when all is cached."""
def prefill_inputs(token_ids, block_table, num_cached, block_size):
    num_tokens = len(token_ids)
    if num_tokens < 1:
        raise ValueError(f"a prompt has at least 1 token, got {num_tokens}")
    if not 0 <= num_cached <= num_tokens:
        raise ValueError(f"num_cached must be from 0 to {num_tokens}, got {num_cached}")
    if len(block_table) * block_size < num_tokens:
        raise ValueError(f"{len(block_table)} blocks of {block_size} do not hold {num_tokens} tokens")
    start = num_cached
    positions = list(range(start, num_tokens))
    slots = [block_table[i // block_size] * block_size + i % block_size for i in positions]
    return {"input_ids": list(token_ids[start:]), "positions": positions, "slots": slots}
