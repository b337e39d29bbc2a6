"""turns the other way round"""
import numpy as np


def apply_rope(x, cos, sin):
    a, b = np.split(x, 2, axis=-1)
    return (x * cos - np.concatenate([-b, a], axis=-1) * sin).astype(x.dtype)
