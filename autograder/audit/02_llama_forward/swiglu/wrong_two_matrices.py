"""an MLP of two matrices: up is not used"""
import numpy as np


def swiglu(x, w_gate, w_up, w_down):
    def silu(z):
        return z / (1 + np.exp(-z))

    return silu(x @ w_gate) @ w_down
