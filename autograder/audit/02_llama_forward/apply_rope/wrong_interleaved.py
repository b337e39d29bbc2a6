"""wrong pairing: neighbours 2i and 2i + 1 are rotated together"""
import numpy as np


def apply_rope(x, cos, sin):
    half = np.empty_like(x)
    half[..., 0::2], half[..., 1::2] = -x[..., 1::2], x[..., 0::2]
    return (x * cos + half * sin).astype(x.dtype)
