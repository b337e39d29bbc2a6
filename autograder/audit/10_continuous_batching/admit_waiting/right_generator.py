"""Two small steps per sequence, with an early end."""
def admit_waiting(waiting, hits, token_budget):
    if token_budget < 0:
        raise ValueError(f"budget {token_budget}")
    rows = []
    for seq in waiting:
        if not token_budget:
            return rows
        cached = hits[seq["id"]] if seq["id"] in hits else 0
        if cached >= seq["tokens"]:
            cached = seq["tokens"] - 1
        todo = seq["tokens"] - cached
        rows.append((seq["id"], cached, todo if todo < token_budget else token_budget))
        token_budget -= rows[-1][2]
    return rows
