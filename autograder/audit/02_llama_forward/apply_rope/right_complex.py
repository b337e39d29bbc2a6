"""one complex number per pair"""
import numpy as np


def apply_rope(x, cos, sin):
    h = x.shape[-1] // 2
    z = (x[..., :h] + 1j * x[..., h:]) * (cos[:, :h] + 1j * sin[:, :h])
    return np.concatenate([z.real, z.imag], axis=-1).astype(x.dtype)
