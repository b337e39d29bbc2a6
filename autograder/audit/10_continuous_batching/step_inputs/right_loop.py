"""Collects tokens and positions one by one."""
def step_inputs(seq, num_new):
    left = len(seq["token_ids"]) - seq["computed"]
    if num_new <= 0 or num_new > left:
        raise ValueError(f"{num_new} of {left} tokens")
    out = {"ids": [], "positions": [], "samples": num_new == left}
    for i in range(num_new):
        out["positions"].append(seq["computed"] + i)
        out["ids"].append(seq["token_ids"][out["positions"][-1]])
    return out
