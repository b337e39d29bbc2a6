"""takes a single row [V] for a table and returns the argmax of one number"""
import numpy as np


def next_token(logits):
    logits = np.asarray(logits)
    if logits.size == 0 or logits.ndim > 2:
        raise ValueError(f"bad shape {logits.shape}")
    return int(np.argmax(logits[-1]))
