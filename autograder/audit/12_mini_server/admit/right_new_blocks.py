"""Counts the blocks that the new tokens touch."""
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
        needed = len({position // block_size for position in range(num_cached, num_tokens)})
        if num_new > budget or needed > num_free_blocks:
            break
        budget -= num_new
        num_free_blocks -= needed
        rows.append((request["id"], num_cached, num_new))
    return rows
