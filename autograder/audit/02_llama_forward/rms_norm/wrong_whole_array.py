"""one root mean square for all tokens together"""
import numpy as np


def rms_norm(x, weight, eps):
    x = np.asarray(x)
    wide = x.astype(np.result_type(x, np.float32))
    out = np.result_type(x, np.float16)
    return (wide / np.sqrt((wide**2).mean() + eps) * weight).astype(out)
