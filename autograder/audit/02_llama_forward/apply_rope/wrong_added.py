"""adds the position instead of rotating"""
import numpy as np


def apply_rope(x, cos, sin):
    return (x + cos + sin).astype(x.dtype)
