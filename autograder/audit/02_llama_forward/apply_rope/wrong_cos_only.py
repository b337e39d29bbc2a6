"""keeps the cosine term alone"""
import numpy as np


def apply_rope(x, cos, sin):
    return (x * cos).astype(x.dtype)
