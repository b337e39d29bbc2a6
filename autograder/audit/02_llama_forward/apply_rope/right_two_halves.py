"""both halves written out"""
import numpy as np


def apply_rope(x, cos, sin):
    h = x.shape[-1] // 2
    out = np.empty_like(x)
    out[..., :h] = x[..., :h] * cos[:, :h] - x[..., h:] * sin[:, :h]
    out[..., h:] = x[..., h:] * cos[:, h:] + x[..., :h] * sin[:, h:]
    return out
