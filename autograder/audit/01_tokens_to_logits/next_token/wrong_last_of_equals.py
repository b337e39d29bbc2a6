"""takes the highest id among equal logits"""
import numpy as np


def next_token(logits):
    logits = np.asarray(logits)
    if logits.ndim != 2 or logits.shape[0] == 0:
        raise ValueError(f"bad shape {logits.shape}")
    row = logits[-1]
    return int(len(row) - 1 - np.argmax(row[::-1]))
