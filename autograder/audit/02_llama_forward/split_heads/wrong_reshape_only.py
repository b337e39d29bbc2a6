"""reshape without transpose: the shape is right, the values are not"""
import numpy as np


def split_heads(x, n_heads):
    n, d = x.shape
    if n_heads < 1 or d % n_heads:
        raise ValueError(f"{d} features, {n_heads} heads")
    return x.reshape(n_heads, n, d // n_heads)
