"""SiLU on the up branch"""
import numpy as np


def swiglu(x, w_gate, w_up, w_down):
    def silu(z):
        return z / (1 + np.exp(-z))

    return (x @ w_gate * silu(x @ w_up)) @ w_down
