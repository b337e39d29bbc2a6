"""Weights as the kernels read them: tiles of LANES outputs, so that one pass over K gives LANES results."""

from typing import NamedTuple

import numpy as np

from mini_engine.cpu.lanes import LANES
from mini_engine.quant.arrays import round_outputs

GROUP_SIZE = 32


class Float32(NamedTuple):
    """Float weights [layers, tiles, in, LANES]."""

    w: np.ndarray


class Int8(NamedTuple):
    """Whole numbers -127 to 127 [layers, tiles, in, LANES] and a float32 scale for each output, [layers, tiles, LANES].

    The scale is the same for every term of an output's sum, so it is applied once, to the sum.
    """

    q: np.ndarray
    scales: np.ndarray


class Int8Groups(NamedTuple):
    """As Int8, with a scale for each group of 32 inputs: float16 bits [layers, tiles, groups, LANES]."""

    q: np.ndarray
    scales: np.ndarray


class Int4Groups(NamedTuple):
    """Whole numbers 0 to 15, two in a byte, w = q * scale + minimum: the Q4_1 blocks of GGUF, bit for bit.

    q: uint8 [layers, tiles, in / 2, LANES]; a byte holds inputs 2i (low half) and 2i + 1 (high half) of one output.
    scales, minima: float16 bits [layers, tiles, groups, LANES]. 5 bits a weight: 4, and 32 for each group of 32.
    """

    q: np.ndarray
    scales: np.ndarray
    minima: np.ndarray


def tiles(array):
    """[rows, out] as [tiles, rows, LANES], outputs padded with zeros to whole tiles."""
    rows, num_out = array.shape
    padded = np.zeros((rows, -(-num_out // LANES) * LANES), array.dtype)
    padded[:, :num_out] = array
    return np.ascontiguousarray(padded.reshape(rows, -1, LANES).swapaxes(0, 1))


def as_float32(weight):
    """A float matrix [in, out] as it is."""
    return Float32(tiles(np.asarray(weight, np.float32)))


def as_int8(weight):
    """A float matrix [in, out] rounded to 8 bits, one scale for each output: its largest weight becomes 127."""
    q, scales = round_outputs(weight)
    return Int8(tiles(q), tiles(scales)[:, 0])


def grouped(weight):
    """A float matrix [in, out] as groups [in / 32, 32, out]. Raises ValueError where 32 does not divide the inputs."""
    weight = np.asarray(weight, np.float32)
    if weight.shape[0] % GROUP_SIZE:
        raise ValueError(f"groups of {GROUP_SIZE} do not divide the {weight.shape[0]} inputs")
    return weight.reshape(-1, GROUP_SIZE, weight.shape[1])


def as_int8_groups(weight):
    """A float matrix [in, out] rounded to 8 bits, one float16 scale for each group of 32 inputs, as GGUF's Q8_0."""
    groups = grouped(weight)
    scales = half(np.abs(groups).max(axis=1) / np.float32(127))
    q = np.rint(groups / step_of(scales)).astype(np.int8)
    return Int8Groups(tiles(q.reshape(weight.shape)), tiles(scales.view(np.uint16)))


def as_int4_groups(weight):
    """A float matrix [in, out] rounded to 4 bits, a float16 scale and minimum for each group of 32 inputs.

    The weights of a Q4_1 file come back bit for bit: their groups' extremes are its 0 and 15.
    """
    groups = grouped(weight)
    minima = half(groups.min(axis=1))
    scales = half((groups.max(axis=1) - groups.min(axis=1)) / np.float32(15))
    steps = (groups - minima.astype(np.float32)[:, None]) / step_of(scales)
    q = np.clip(np.rint(steps), 0, 15).astype(np.uint8).reshape(weight.shape)
    packed = q[0::2] | q[1::2] << 4
    return Int4Groups(tiles(packed), tiles(scales.view(np.uint16)), tiles(minima.view(np.uint16)))


def half(values):
    """Values as float16. Raises ValueError where one does not fit."""
    with np.errstate(over="ignore"):
        small = values.astype(np.float16)
    if not np.isfinite(small).all():
        raise ValueError("a group's scale or minimum does not fit float16: the weights are too large or not finite")
    return small


def step_of(scales):
    """float32 scales [groups, 1, out] to divide by: 1 where the scale is 0."""
    return np.where(scales == 0, np.float16(1), scales).astype(np.float32)[:, None]


def stacked(matrices):
    """Matrices of one format and shape, one for each layer, as one matrix with a leading axis."""
    return type(matrices[0])(*(np.stack(parts) for parts in zip(*matrices, strict=True)))


def num_bytes(matrix):
    """Bytes that a matrix takes."""
    return sum(part.nbytes for part in matrix)
