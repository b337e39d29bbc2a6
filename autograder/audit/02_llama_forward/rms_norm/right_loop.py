"""row by row with math.sqrt"""
import math

import numpy as np


def rms_norm(x, weight, eps):
    x = np.asarray(x)
    out = np.empty(x.shape, dtype=x.dtype if x.dtype.kind == "f" else float)
    for index in np.ndindex(x.shape[:-1]):
        row = [float(v) for v in x[index]]
        scale = 1 / math.sqrt(sum(v * v for v in row) / len(row) + eps)
        out[index] = [v * scale * float(g) for v, g in zip(row, weight)]
    return out
