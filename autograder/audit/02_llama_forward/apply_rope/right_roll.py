"""np.roll and a row of signs"""
import numpy as np


def apply_rope(x, cos, sin):
    h = x.shape[-1] // 2
    signs = np.where(np.arange(2 * h) < h, -1.0, 1.0)
    return (x * cos + np.roll(x, h, axis=-1) * signs * sin).astype(x.dtype)
