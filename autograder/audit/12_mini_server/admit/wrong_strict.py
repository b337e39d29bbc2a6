"""Refuses what fits exactly."""
def admit(waiting, cached, num_free_blocks, budget, block_size):
    """The rows (id, tokens from the cache, tokens to compute) of the waiting requests that fit, in order.

    waiting: list of dicts with id, num_tokens and num_cached (of the last admission). cached: {id: tokens in the cache
    now}. num_free_blocks, budget (tokens), block_size: ints. Nothing is changed.
    """
    rows = []
    for request in waiting:
        num_tokens = request["num_tokens"]
        num_cached = min(cached.get(request["id"], 0), num_tokens - 1)
        num_new = num_tokens - num_cached
        needed = num_blocks_for(num_tokens, block_size) - num_cached // block_size
        if num_new >= budget or needed > num_free_blocks:
            break
        budget -= num_new
        num_free_blocks -= needed
        rows.append((request["id"], num_cached, num_new))
    return rows
