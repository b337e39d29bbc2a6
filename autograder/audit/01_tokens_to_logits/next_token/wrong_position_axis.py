"""argmax along the positions instead of the vocabulary"""
import numpy as np


def next_token(logits):
    logits = np.asarray(logits)
    if logits.ndim != 2 or logits.shape[0] == 0:
        raise ValueError(f"bad shape {logits.shape}")
    return int(np.argmax(logits, axis=0)[-1])
