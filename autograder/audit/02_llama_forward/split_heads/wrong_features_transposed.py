"""swaps tokens and features inside each head"""
import numpy as np


def split_heads(x, n_heads):
    n, d = x.shape
    if n_heads < 1 or d % n_heads:
        raise ValueError(f"{d} features, {n_heads} heads")
    return x.T.reshape(n_heads, n, d // n_heads)
