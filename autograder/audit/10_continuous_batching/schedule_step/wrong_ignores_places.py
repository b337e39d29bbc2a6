"""Lets waiting sequences join beyond max_num_seqs."""
def schedule_step(state, token_budget):
    """Rows [id, num_new] of the next step: decodes first, then running prefills, then waiting sequences.

    state: dict with "running" and "waiting" (lists of {"id", "tokens", "computed"}) and "max_num_seqs".
    token_budget: tokens that one step may compute, 1 or more. Raises ValueError for a budget below 1.
    """
    if token_budget < 1:
        raise ValueError(f"token_budget must be at least 1, got {token_budget}")
    running = state["running"]
    decodes = [seq for seq in running if seq["tokens"] - seq["computed"] == 1]
    prefills = [seq for seq in running if seq["tokens"] - seq["computed"] > 1]
    joining = state["waiting"]
    rows = []
    for seq in (*decodes, *prefills, *joining):
        num_new = min(seq["tokens"] - seq["computed"], token_budget)
        if num_new:
            rows.append([seq["id"], num_new])
            token_budget -= num_new
    return rows
