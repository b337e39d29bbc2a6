"""the largest logit of any position, as a vocabulary id"""
import numpy as np


def next_token(logits):
    logits = np.asarray(logits)
    if logits.ndim != 2 or logits.shape[0] == 0:
        raise ValueError(f"bad shape {logits.shape}")
    return int(np.argmax(logits) % logits.shape[1])
