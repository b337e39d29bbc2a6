"""interleaved layout: each angle twice in a row"""
import numpy as np


def rope_tables(head_dim, positions, theta):
    if head_dim < 2 or head_dim % 2:
        raise ValueError(f"head_dim={head_dim}")
    angles = np.outer(positions, theta ** (-np.arange(0, head_dim, 2) / head_dim))
    angles = np.repeat(angles, 2, axis=-1)
    return np.cos(angles), np.sin(angles)
