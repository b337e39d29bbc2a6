"""overwrites the first half before the second has read it"""
import numpy as np


def apply_rope(x, cos, sin):
    h = x.shape[-1] // 2
    out = x.copy()
    out[..., :h] = out[..., :h] * cos[:, :h] - out[..., h:] * sin[:, :h]
    out[..., h:] = out[..., h:] * cos[:, h:] + out[..., :h] * sin[:, h:]
    return out
