"""RMSNorm with a bias: the mean is kept"""
import numpy as np


def layer_norm(x, weight, bias, eps):
    x = np.asarray(x)
    wide = x.astype(np.result_type(x, np.float32))
    out = np.result_type(x, np.float16)
    return (wide / np.sqrt((wide**2).mean(axis=-1, keepdims=True) + eps) * weight + bias).astype(out)
