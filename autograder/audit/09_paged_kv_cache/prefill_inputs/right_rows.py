"""Builds rows and takes them apart."""
def prefill_inputs(token_ids, block_table, num_cached, block_size):
    n = len(token_ids)
    if n == 0 or num_cached not in range(n + 1):
        raise ValueError(f"{n} tokens, {num_cached} cached")
    if -(-n // block_size) > len(block_table):
        raise ValueError(f"{n} tokens, {len(block_table)} blocks")
    out = {"input_ids": [], "positions": [], "slots": []}
    for i, token in enumerate(token_ids):
        if i >= num_cached or i == n - 1:
            column, offset = divmod(i, block_size)
            out["input_ids"].append(token)
            out["positions"].append(i)
            out["slots"].append(block_table[column] * block_size + offset)
    return out
