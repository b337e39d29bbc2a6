"""normalises over the tokens instead of the features"""
import numpy as np


def rms_norm(x, weight, eps):
    x = np.asarray(x)
    wide = x.astype(np.result_type(x, np.float32))
    out = np.result_type(x, np.float16)
    return (wide / np.sqrt((wide**2).mean(axis=0, keepdims=True) + eps) * weight).astype(out)
