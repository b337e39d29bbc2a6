"""Accepts a row without tokens."""
def step_inputs(seq, num_new):
    """What the model is fed for one row: {"ids", "positions", "samples"}.

    seq: dict with "token_ids", "num_written" and "computed". num_new: tokens of this row, from 1 to those not yet
    computed. Raises ValueError for any other num_new.
    """
    start, end = seq["computed"], seq["computed"] + num_new
    if end > len(seq["token_ids"]):
        raise ValueError(f"a row of {num_new} tokens: {len(seq['token_ids']) - start} are left to compute")
    return {
        "ids": seq["token_ids"][start:end],
        "positions": list(range(start, end)),
        "samples": end == len(seq["token_ids"]),
    }
