"""NumPy's mean and var, float64 inside"""
import numpy as np


def layer_norm(x, weight, bias, eps):
    x = np.asarray(x)
    wide = x.astype(np.float64)
    y = (wide - wide.mean(-1, keepdims=True)) / np.sqrt(wide.var(-1, keepdims=True) + eps)
    return (y * weight + bias).astype(x.dtype if x.dtype.kind == "f" else np.float64)
