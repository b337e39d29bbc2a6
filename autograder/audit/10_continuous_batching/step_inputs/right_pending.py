"""Cuts the computed tokens off first, then takes the row from the rest."""
def step_inputs(seq, num_new):
    pending = list(enumerate(seq["token_ids"]))[seq["computed"] :]
    if num_new not in range(1, len(pending) + 1):
        raise ValueError(f"num_new {num_new}")
    row, rest = pending[:num_new], pending[num_new:]
    return {"ids": [t for _, t in row], "positions": [i for i, _ in row], "samples": not rest}
