"""Makes rows of 0 tokens when the budget is used up."""
def admit_waiting(waiting, hits, token_budget):
    """Rows [id, start, num_new] for waiting sequences, after asking the prefix cache.

    waiting: list of {"id", "tokens", "computed"} in the order of the queue; computed may be stale. hits: {id: cached
    tokens}. token_budget: tokens that may still be computed in this step. Raises ValueError when it is negative.
    """
    if token_budget < 0:
        raise ValueError(f"token_budget must not be negative, got {token_budget}")
    rows = []
    for seq in waiting:
        start = min(hits.get(seq["id"], 0), seq["tokens"] - 1)
        num_new = min(seq["tokens"] - start, token_budget)
        rows.append([seq["id"], start, num_new])
        token_budget -= num_new
    return rows
