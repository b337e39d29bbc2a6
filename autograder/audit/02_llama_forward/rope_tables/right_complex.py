"""powers of complex numbers of size 1"""
import numpy as np


def rope_tables(head_dim, positions, theta):
    if head_dim < 2 or head_dim % 2:
        raise ValueError(f"head_dim={head_dim}")
    half = head_dim // 2
    turns = np.exp(1j * theta ** (-np.arange(half) / half))
    table = np.array([[turn ** int(p) for turn in turns] * 2 for p in positions])
    return table.real, table.imag
