"""float32, as transformers computes them"""
import numpy as np


def rope_tables(head_dim, positions, theta):
    if head_dim < 2 or head_dim % 2:
        raise ValueError(f"head_dim={head_dim}")
    inverse = 1.0 / np.float32(theta) ** (np.arange(0, head_dim, 2, dtype=np.float32) / np.float32(head_dim))
    angles = np.asarray(positions, dtype=np.float32)[:, None] * inverse[None]
    angles = np.concatenate((angles, angles), axis=-1)
    return np.cos(angles), np.sin(angles)
