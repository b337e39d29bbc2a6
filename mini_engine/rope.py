"""Rotary position embedding (Su et al. 2021, 2104.09864), pairs (i, i + D/2) as in the released LLaMA weights."""

import torch


def rope_tables(head_dim, num_positions, theta, dtype=torch.float32, device=None):
    """Cosines and sines of every position's angles: two tensors [num_positions, head_dim / 2].

    The angle of pair i at position p is p * theta ** (-2i / head_dim), in radians. Angles are computed in float64
    and rounded once: at position 8000 a float32 angle is already off by 1e-4.
    """
    exponents = torch.arange(0, head_dim, 2, dtype=torch.float64) / head_dim
    positions = torch.arange(num_positions, dtype=torch.float64)
    angles = torch.outer(positions, theta**-exponents)
    return angles.cos().to(device, dtype), angles.sin().to(device, dtype)


def apply_rope(x, cos, sin):
    """Rotate the pairs (i, i + D/2) of the last axis by their position's angle.

    x: [B, N, H, D]. cos, sin: [B or 1, N, 1, D/2], the table rows of each token's own position. Returns x's shape.
    """
    a, b = x.chunk(2, dim=-1)
    return torch.cat((a * cos - b * sin, b * cos + a * sin), dim=-1)
