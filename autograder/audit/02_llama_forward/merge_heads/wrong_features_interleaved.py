"""mixes the features of the heads one by one"""
import numpy as np


def merge_heads(x):
    heads, n, size = x.shape
    return x.transpose(1, 2, 0).reshape(n, heads * size)
