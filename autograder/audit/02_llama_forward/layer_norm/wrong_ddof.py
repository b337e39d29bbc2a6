"""variance with d - 1 below the fraction bar"""
import numpy as np


def layer_norm(x, weight, bias, eps):
    x = np.asarray(x)
    wide = x.astype(np.result_type(x, np.float32))
    out = np.result_type(x, np.float16)
    c = wide - wide.mean(axis=-1, keepdims=True)
    return (c / np.sqrt(wide.var(axis=-1, keepdims=True, ddof=1) + eps) * weight + bias).astype(out)
