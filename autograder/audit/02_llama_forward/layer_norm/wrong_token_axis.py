"""normalises over the tokens, as batch norm does"""
import numpy as np


def layer_norm(x, weight, bias, eps):
    x = np.asarray(x)
    wide = x.astype(np.result_type(x, np.float32))
    out = np.result_type(x, np.float16)
    c = wide - wide.mean(axis=0, keepdims=True)
    return (c / np.sqrt(wide.var(axis=0, keepdims=True) + eps) * weight + bias).astype(out)
