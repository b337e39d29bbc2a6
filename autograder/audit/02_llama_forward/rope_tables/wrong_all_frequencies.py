"""one frequency per feature instead of per pair"""
import numpy as np


def rope_tables(head_dim, positions, theta):
    if head_dim < 2 or head_dim % 2:
        raise ValueError(f"head_dim={head_dim}")
    angles = np.outer(positions, theta ** (-np.arange(head_dim) / head_dim))
    return np.cos(angles), np.sin(angles)
