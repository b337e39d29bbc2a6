"""squares in float16"""
import numpy as np


def layer_norm(x, weight, bias, eps):
    x = np.asarray(x)
    out = np.result_type(x, np.float16)
    c = (x - x.mean(axis=-1, keepdims=True)).astype(out)
    return (c / np.sqrt((c * c).mean(axis=-1, keepdims=True) + out.type(eps)) * weight + bias).astype(out)
