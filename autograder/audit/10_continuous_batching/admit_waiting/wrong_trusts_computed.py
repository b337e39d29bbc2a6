"""Trusts what `computed` says from before the preemption."""
def admit_waiting(waiting, hits, token_budget):
    """Rows [id, start, num_new] for waiting sequences, after asking the prefix cache.

    waiting: list of {"id", "tokens", "computed"} in the order of the queue; computed may be stale. hits: {id: cached
    tokens}. token_budget: tokens that may still be computed in this step. Raises ValueError when it is negative.
    """
    if token_budget < 0:
        raise ValueError(f"token_budget must not be negative, got {token_budget}")
    rows = []
    for seq in waiting:
        start = min(max(hits.get(seq["id"], 0), seq["computed"]), seq["tokens"] - 1)
        num_new = min(seq["tokens"] - start, token_budget)
        if num_new == 0:
            break
        rows.append([seq["id"], start, num_new])
        token_budget -= num_new
    return rows
