"""np.split"""
import numpy as np


def split_heads(x, n_heads):
    if n_heads < 1 or x.shape[1] % n_heads:
        raise ValueError(f"{n_heads} heads do not divide {x.shape[1]} features")
    return np.array(np.split(x, n_heads, axis=1))
