"""a loop over the last row"""
import numpy as np


def next_token(logits):
    logits = np.asarray(logits)
    if logits.ndim != 2 or logits.shape[0] == 0:
        raise ValueError(f"bad shape {logits.shape}")
    row = [float(v) for v in logits[-1]]
    return row.index(max(row))
