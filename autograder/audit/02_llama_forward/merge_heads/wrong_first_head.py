"""keeps the first head only, repeated"""
import numpy as np


def merge_heads(x):
    return np.tile(x[0], (1, len(x)))
