"""Three loops, one for each rule, with tuples for rows."""
def schedule_step(state, token_budget):
    if token_budget < 1:
        raise ValueError(f"budget {token_budget}")
    rows, left = [], token_budget
    for seq in state["running"]:
        if seq["tokens"] - seq["computed"] == 1 and left > 0:
            rows.append((seq["id"], 1))
            left -= 1
    for seq in state["running"]:
        todo = seq["tokens"] - seq["computed"]
        if todo > 1 and left > 0:
            rows.append((seq["id"], min(todo, left)))
            left -= rows[-1][1]
    places = state["max_num_seqs"] - len(state["running"])
    for seq in state["waiting"]:
        if places <= 0 or left <= 0:
            break
        rows.append((seq["id"], min(seq["tokens"] - seq["computed"], left)))
        left -= rows[-1][1]
        places -= 1
    return rows
