"""multiplies by the gain before it takes the root mean square"""
import numpy as np


def rms_norm(x, weight, eps):
    x = np.asarray(x)
    wide = x.astype(np.result_type(x, np.float32))
    out = np.result_type(x, np.float16)
    wide = wide * weight
    return (wide / np.sqrt((wide**2).mean(axis=-1, keepdims=True) + eps)).astype(out)
