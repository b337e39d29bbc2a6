"""returns float64 whatever comes in"""
import numpy as np


def apply_rope(x, cos, sin):
    a, b = np.split(x, 2, axis=-1)
    return x * np.asarray(cos, dtype=np.float64) + np.concatenate([-b, a], axis=-1) * np.asarray(sin, dtype=np.float64)
