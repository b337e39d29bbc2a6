"""rotates the first half of each pair alone"""
import numpy as np


def apply_rope(x, cos, sin):
    h = x.shape[-1] // 2
    out = x.copy()
    out[..., :h] = x[..., :h] * cos[:, :h] - x[..., h:] * sin[:, :h]
    return out
