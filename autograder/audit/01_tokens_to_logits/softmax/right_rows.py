"""row by row with the axis moved to the end"""
import math

import numpy as np


def softmax(logits, axis=-1):
    z = np.moveaxis(np.asarray(logits), axis, -1)
    out = np.empty(z.shape, dtype=z.dtype if z.dtype.kind == "f" else float)
    for index in np.ndindex(z.shape[:-1]):
        top = max(z[index])
        e = [math.exp(v - top) for v in z[index]]
        out[index] = [v / sum(e) for v in e]
    return np.moveaxis(out, -1, axis)
