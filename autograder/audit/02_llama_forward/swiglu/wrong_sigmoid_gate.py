"""sigmoid gate (GLU): the factor z is missing"""
import numpy as np


def swiglu(x, w_gate, w_up, w_down):
    return (1 / (1 + np.exp(-(x @ w_gate))) * (x @ w_up)) @ w_down
