"""exponentials of the raw scores overflow"""
import numpy as np


def causal_attention(q, k, v):
    n, s, d = q.shape[-2], k.shape[-2], q.shape[-1]
    if s < n:
        raise ValueError(f"{n} queries, {s} keys")
    mask = np.arange(s) <= np.arange(n)[:, None] + s - n
    w = np.exp(q @ np.swapaxes(k, -1, -2) / d**0.5) * mask
    return w / w.sum(axis=-1, keepdims=True) @ v
