"""GELU instead of SiLU"""
import numpy as np


def swiglu(x, w_gate, w_up, w_down):
    g = x @ w_gate
    return (0.5 * g * (1 + np.tanh(0.7978845608 * (g + 0.044715 * g**3))) * (x @ w_up)) @ w_down
