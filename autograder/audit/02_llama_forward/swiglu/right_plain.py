"""the formula as it stands"""
import numpy as np


def swiglu(x, w_gate, w_up, w_down):
    g = x @ w_gate
    with np.errstate(over="ignore"):
        return (g / (1 + np.exp(-g)) * (x @ w_up)) @ w_down
