"""Makes all slots and cuts them."""
def prefill_inputs(token_ids, block_table, num_cached, block_size):
    ids = list(token_ids)
    if not ids:
        raise ValueError("the prompt has 0 tokens")
    if num_cached < 0 or num_cached > len(ids):
        raise ValueError(f"num_cached {num_cached}")
    every = [block * block_size + offset for block in block_table for offset in range(block_size)]
    if len(every) < len(ids):
        raise ValueError(f"{len(every)} slots for {len(ids)} tokens")
    if num_cached == len(ids):
        num_cached -= 1
    cut = slice(num_cached, len(ids))
    return {"input_ids": ids[cut], "positions": list(range(len(ids)))[cut], "slots": every[cut]}
