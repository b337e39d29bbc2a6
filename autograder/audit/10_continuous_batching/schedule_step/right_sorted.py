"""One stable sort puts the decodes first; NumPy's cumulative sum cuts the budget."""
def schedule_step(state, token_budget):
    if token_budget < 1:
        raise ValueError(f"budget {token_budget}")
    running = sorted(state["running"], key=lambda s: s["tokens"] - s["computed"] != 1)
    candidates = running + list(state["waiting"])[: max(0, state["max_num_seqs"] - len(running))]
    want = [s["tokens"] - s["computed"] for s in candidates]
    ends = np.minimum(np.cumsum(want), token_budget)
    sizes = np.diff(ends, prepend=0).astype(int).tolist()
    return [[s["id"], n] for s, n in zip(candidates, sizes) if n]
