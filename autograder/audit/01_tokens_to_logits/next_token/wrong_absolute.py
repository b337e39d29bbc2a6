"""takes the logit of the largest size, so that a very negative one wins"""
import numpy as np


def next_token(logits):
    logits = np.asarray(logits)
    if logits.ndim != 2 or logits.shape[0] == 0:
        raise ValueError(f"bad shape {logits.shape}")
    return int(np.argmax(np.abs(logits[-1])))
