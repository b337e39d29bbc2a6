"""einsum for the sum of squares, float64 inside"""
import numpy as np


def rms_norm(x, weight, eps):
    x = np.asarray(x)
    wide = x.astype(np.float64)
    mean_square = np.einsum("...d,...d->...", wide, wide) / x.shape[-1]
    result = wide * np.asarray(weight, dtype=float) / np.sqrt(mean_square + eps)[..., None]
    return result.astype(x.dtype if x.dtype.kind == "f" else np.float64)
