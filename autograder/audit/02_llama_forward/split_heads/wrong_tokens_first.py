"""leaves the tokens in front: [N, H, d/H]"""
import numpy as np


def split_heads(x, n_heads):
    n, d = x.shape
    if n_heads < 1 or d % n_heads:
        raise ValueError(f"{d} features, {n_heads} heads")
    return x.reshape(n, n_heads, d // n_heads)
