"""the largest probability"""
import numpy as np


def next_token(logits):
    logits = np.asarray(logits)
    if logits.ndim != 2 or logits.shape[0] == 0:
        raise ValueError(f"bad shape {logits.shape}")
    z = logits[-1, :].astype(float)
    p = np.exp(z - z.max())
    return int((p / p.sum()).argmax())
