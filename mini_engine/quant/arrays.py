"""Weights in few bits: rounding to groups, packing, bytes. NumPy only; the torch modules are in modules.py."""

from dataclasses import dataclass

import numpy as np

from mini_engine.accounting import quantized_bytes

# bytes of a number in the KV caches of pages.py, scales included
KV_BYTES = {"int8": quantized_bytes(32, 8, 32) / 32, "int4": quantized_bytes(32, 4, 32, zero_bytes=2) / 32}


@dataclass(frozen=True)
class QuantizedWeight:
    """A matrix [in, out] stored as small integers with one float16 scale per group of `group_size` inputs.

    q: int8 (symmetric, w = q * scale) or uint8 (asymmetric, w = q * scale + minimum), [in, out].
    scales, minima: float16 [in / group_size, out]; minima is None when symmetric. The asymmetric form is that of the
    Q4_1 blocks of GGUF: the smallest weight of the group is kept as it is, so it needs no integer zero point.
    """

    q: np.ndarray
    scales: np.ndarray
    minima: np.ndarray | None
    bits: int

    @property
    def group_size(self):
        """Inputs that share one scale."""
        return self.q.shape[0] // self.scales.shape[0]

    @property
    def num_bytes(self):
        """Bytes when the integers are packed densely: payload, scales, minima."""
        minima = 0 if self.minima is None else self.minima.nbytes
        return (self.q.size * self.bits + 7) // 8 + self.scales.nbytes + minima

    def dequantize(self):
        """The float32 matrix [in, out] that these integers stand for."""
        groups, num_out = self.scales.shape
        w = self.q.reshape(groups, -1, num_out).astype(np.float32) * self.scales[:, None].astype(np.float32)
        if self.minima is not None:
            w += self.minima[:, None].astype(np.float32)
        return w.reshape(self.q.shape)


def check_format(num_in, bits, group_size):
    """Raise ValueError for bits outside 2..8 or groups that do not divide the inputs."""
    if bits not in range(2, 9):
        raise ValueError(f"bits must be between 2 and 8, got {bits}")
    if group_size < 1 or num_in % group_size:
        raise ValueError(f"group_size={group_size} does not divide the {num_in} inputs")


def group_scales(groups, bits):
    """Symmetric float16 scales [G, out] of groups [G, group_size, out]: the largest weight lands on the last step.

    An all-zero group gets scale 1, so that dividing by it is harmless.
    """
    with np.errstate(over="ignore"):
        scales = (np.abs(groups).max(axis=1) / (2 ** (bits - 1) - 1)).astype(np.float16)
    if not np.isfinite(scales).all():
        raise ValueError("a group's scale does not fit float16: the weights are too large or not finite")
    return np.where(scales == 0, np.float16(1), scales)


def round_to(w, scales, bits):
    """Nearest symmetric step of w, int8, for float16 scales that broadcast; ties to even, never -2**(bits-1)."""
    limit = 2 ** (bits - 1) - 1
    return np.clip(np.rint(w / scales.astype(np.float32)), -limit, limit).astype(np.int8)


def quantize(w, bits, group_size, symmetric=True):
    """Round a float matrix [in, out] to the nearest step, one scale per group of inputs; returns a QuantizedWeight.

    Raises ValueError for bits outside 2..8, groups that do not divide the inputs, or scales beyond float16.
    """
    w = np.asarray(w, dtype=np.float32)
    check_format(w.shape[0], bits, group_size)
    groups = w.reshape(-1, group_size, w.shape[1])
    if symmetric:
        scales = group_scales(groups, bits)
        return QuantizedWeight(round_to(groups, scales[:, None], bits).reshape(w.shape), scales, None, bits)
    lowest, highest = groups.min(axis=1), groups.max(axis=1)
    with np.errstate(over="ignore"):
        minima = lowest.astype(np.float16)
        scales = ((highest - lowest) / (2**bits - 1)).astype(np.float16)
    if not (np.isfinite(scales).all() and np.isfinite(minima).all()):
        raise ValueError("a group's scale or minimum does not fit float16: the weights are too large or not finite")
    step = np.where(scales == 0, np.float16(1), scales)[:, None].astype(np.float32)
    q = np.clip(np.rint((groups - minima[:, None].astype(np.float32)) / step), 0, 2**bits - 1)
    return QuantizedWeight(q.astype(np.uint8).reshape(w.shape), scales, minima, bits)


def round_outputs(weight):
    """A float matrix [in, out] in 8 bits with one scale for each output, whose largest weight becomes 127.

    Returns (int8 [in, out], float32 scales [1, out]); an output of zeros has scale 1.
    """
    weight = np.asarray(weight, np.float32)
    scales = np.abs(weight).max(axis=0, keepdims=True) / np.float32(127)
    scales[scales == 0] = 1
    return np.rint(weight / scales).astype(np.int8), scales


def fake_quantize(w, bits, group_size, symmetric=True):
    """Quantize and dequantize: the float32 matrix [in, out] that a quantized model really multiplies with."""
    return quantize(w, bits, group_size, symmetric).dequantize()


def pack_nibbles(q):
    """Two 4-bit numbers in a byte along the last axis, the first in the low half; int8 -8..7 or uint8 0..15."""
    if q.shape[-1] % 2:
        raise ValueError(f"the last axis holds {q.shape[-1]} numbers, which do not pair up")
    nibbles = q.astype(np.uint8) & 0xF
    return nibbles[..., 0::2] | (nibbles[..., 1::2] << 4)


def unpack_nibbles(packed, signed=True):
    """Inverse of pack_nibbles: int8 when signed, uint8 otherwise, the last axis twice as long."""
    nibbles = np.stack([packed & 0xF, packed >> 4], axis=-1).reshape(*packed.shape[:-1], -1)
    return (nibbles ^ 8).astype(np.int8) - np.int8(8) if signed else nibbles
