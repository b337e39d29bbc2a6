"""math.cos in loops"""
import math

import numpy as np


def rope_tables(head_dim, positions, theta):
    if head_dim < 2 or head_dim % 2:
        raise ValueError(f"head_dim={head_dim}")
    cos = np.zeros((len(positions), head_dim))
    sin = np.zeros((len(positions), head_dim))
    for n, p in enumerate(positions):
        for j in range(head_dim):
            i = j % (head_dim // 2)
            cos[n, j] = math.cos(int(p) * theta ** (-2 * i / head_dim))
            sin[n, j] = math.sin(int(p) * theta ** (-2 * i / head_dim))
    return cos, sin
