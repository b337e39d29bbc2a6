"""the sigmoid by tanh, fused gate and up"""
import numpy as np


def swiglu(x, w_gate, w_up, w_down):
    f = w_gate.shape[1]
    both = x @ np.concatenate([w_gate, w_up], axis=1)
    g, u = both[..., :f], both[..., f:]
    return (g * (1 + np.tanh(g / 2)) / 2 * u) @ w_down
