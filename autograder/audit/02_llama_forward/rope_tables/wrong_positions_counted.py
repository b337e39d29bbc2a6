"""uses 0, 1, 2, … instead of the given positions: wrong with a cache"""
import numpy as np


def rope_tables(head_dim, positions, theta):
    if head_dim < 2 or head_dim % 2:
        raise ValueError(f"head_dim={head_dim}")
    angles = np.outer(np.arange(len(positions)), theta ** (-np.arange(0, head_dim, 2) / head_dim))
    angles = np.tile(angles, 2)
    return np.cos(angles), np.sin(angles)
