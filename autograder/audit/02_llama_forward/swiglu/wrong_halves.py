"""splits one matrix in halves instead of using gate and up"""
import numpy as np


def swiglu(x, w_gate, w_up, w_down):
    def silu(z):
        return z / (1 + np.exp(-z))

    h = x @ w_gate
    a, b = np.array_split(h, 2, axis=-1)
    return (silu(a) * b) @ w_down[: a.shape[-1]]
