"""Cumulative sums of what is left to compute, cut at the budget."""
def admit_waiting(waiting, hits, token_budget):
    if token_budget < 0:
        raise ValueError(f"budget {token_budget}")
    starts = [min(hits.get(seq["id"], 0), seq["tokens"] - 1) for seq in waiting]
    todo = [seq["tokens"] - start for seq, start in zip(waiting, starts)]
    sizes = np.diff(np.minimum(np.cumsum([0] + todo), token_budget)).astype(int).tolist()
    return [[seq["id"], start, n] for seq, start, n in zip(waiting, starts, sizes) if n > 0]
