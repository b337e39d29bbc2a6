"""YaRN: RoPE's slow pairs stretched for a longer text, the fast ones left alone (Peng et al. 2023, 2309.00071)."""

import math

import torch


def turning_pair(num_turns, head_dim, theta, num_positions):
    """The pair, as a real number, that turns num_turns times within num_positions."""
    return head_dim * math.log(num_positions / (num_turns * 2 * math.pi)) / (2 * math.log(theta))


def yarn_frequencies(head_dim, theta, factor, original, beta_fast=32.0, beta_slow=1.0, truncate=True):
    """Radians per position of each pair, [head_dim / 2] in float64, and what cosines and sines are multiplied with.

    factor: how many times longer the text may be than `original`, the positions of the training. Pairs with more than
    beta_fast turns in these stay, those with fewer than beta_slow turn `factor` times slower, between them lies a ramp.
    truncate: the ramp begins and ends at whole pairs. Raises ValueError for a factor below 1.
    """
    if factor < 1:
        raise ValueError(f"factor must be at least 1, got {factor}")
    plain = theta ** -(torch.arange(0, head_dim, 2, dtype=torch.float64) / head_dim)
    low, high = (turning_pair(turns, head_dim, theta, original) for turns in (beta_fast, beta_slow))
    if truncate:
        low, high = math.floor(low), math.ceil(high)
    low, high = max(low, 0), min(high, head_dim - 1)
    ramp = (torch.arange(head_dim // 2, dtype=torch.float64) - low) / max(high - low, 0.001)
    slowed = ramp.clamp(0, 1)
    return plain * (1 - slowed) + plain / factor * slowed, 0.1 * math.log(factor) + 1


def yarn_tables(head_dim, num_positions, theta, dtype=torch.float32, **scaling):
    """Cosines and sines [num_positions, head_dim / 2] as rope_tables makes them, with YaRN's frequencies and factor."""
    frequencies, scale = yarn_frequencies(head_dim, theta, **scaling)
    angles = torch.outer(torch.arange(num_positions, dtype=torch.float64), frequencies)
    return (scale * angles.cos()).to(dtype), (scale * angles.sin()).to(dtype)
