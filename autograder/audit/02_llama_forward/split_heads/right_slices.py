"""slices stacked"""
import numpy as np


def split_heads(x, n_heads):
    n, d = x.shape
    if n_heads < 1 or d % n_heads:
        raise ValueError(f"{d} features, {n_heads} heads")
    size = d // n_heads
    return np.stack([x[:, h * size : (h + 1) * size] for h in range(n_heads)])
