"""Takes a sequence that has written tokens for a decode, also after a preemption."""
def step_inputs(seq, num_new):
    if not 1 <= num_new <= len(seq["token_ids"]) - seq["computed"]:
        raise ValueError(f"a row of {num_new} tokens")
    if seq["num_written"] > 0:
        ids = seq["token_ids"][-1:]
        positions = [len(seq["token_ids"]) - 1]
        samples = True
    else:
        ids = seq["token_ids"][seq["computed"] : seq["computed"] + num_new]
        positions = list(range(seq["computed"], seq["computed"] + num_new))
        samples = seq["computed"] + num_new == len(seq["token_ids"])
    return {"ids": ids, "positions": positions, "samples": samples}
