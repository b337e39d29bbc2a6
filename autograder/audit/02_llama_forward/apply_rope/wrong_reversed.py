"""pairs feature i with the i-th from the end"""
import numpy as np


def apply_rope(x, cos, sin):
    half = np.concatenate([-x[..., : x.shape[-1] // 2 - 1 : -1], x[..., x.shape[-1] // 2 - 1 :: -1]], axis=-1)
    return (x * cos + half * sin).astype(x.dtype)
