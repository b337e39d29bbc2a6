"""mask aligned to the start: wrong when there are cached keys"""
import numpy as np


def causal_attention(q, k, v):
    n, s, d = q.shape[-2], k.shape[-2], q.shape[-1]
    if s < n:
        raise ValueError(f"{n} queries, {s} keys")
    mask = np.tri(n, s, dtype=bool)
    scores = np.where(mask, q @ np.swapaxes(k, -1, -2) / d**0.5, -np.inf)
    w = np.exp(scores - scores.max(axis=-1, keepdims=True))
    w = w / w.sum(axis=-1, keepdims=True)
    return w @ v
