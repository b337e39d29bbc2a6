"""Accepts an empty prompt and a cache longer than the text."""
def prefill_inputs(token_ids, block_table, num_cached, block_size):
    num_tokens = len(token_ids)
    if len(block_table) * block_size < num_tokens:
        raise ValueError(f"{len(block_table)} blocks of {block_size} do not hold {num_tokens} tokens")
    start = min(num_cached, num_tokens - 1)
    positions = list(range(start, num_tokens))
    slots = [block_table[i // block_size] * block_size + i % block_size for i in positions]
    return {"input_ids": list(token_ids[start:]), "positions": positions, "slots": slots}
