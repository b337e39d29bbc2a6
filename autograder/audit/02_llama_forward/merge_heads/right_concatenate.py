"""heads concatenated"""
import numpy as np


def merge_heads(x):
    return np.concatenate(list(x), axis=-1)
