"""Weights as 4-bit floats with a shared scale: MXFP4 (OCP Microscaling Formats 1.0) and NVFP4 (NVIDIA Blackwell).

A number is an E2M1 float: a sign, two bits of exponent, one of mantissa, so 0, 0.5, 1, 1.5, 2, 3, 4 or 6. Bytes are
laid out as in GGUF files, so what is made here can be written into one. NumPy only.
"""

import numpy as np

E2M1 = np.array([0, 0.5, 1, 1.5, 2, 3, 4, 6], np.float32)
CODES = np.concatenate([E2M1, -E2M1[:1] + 0, -E2M1[1:]])  # by code; the eighth is minus zero, which is read as zero
MIDPOINTS = (E2M1[1:] + E2M1[:-1]) / 2
# E4M3 floats of 0 and above, by code: 3 bits of mantissa, 4 of exponent, bias 7; 0x7F is not a number
E4M3 = np.array([(m / 8 + (e > 0)) * 2.0 ** (max(e, 1) - 7) for e in range(16) for m in range(8)][:127], np.float32)
MX_BLOCK, NV_BLOCK, NV_ROW = 32, 16, 64  # GGUF stores four NVFP4 blocks together


def blocks_of(x, block, row):
    """Floats [..., n] as float32 blocks [..., n / block, block]. Raises ValueError where row does not divide n, or for
    a number that is not finite.
    """
    x = np.asarray(x, np.float32)
    if x.ndim == 0 or x.shape[-1] == 0 or x.shape[-1] % row:
        raise ValueError(f"the last axis must be a multiple of {row}, got shape {x.shape}")
    if not np.isfinite(x).all():
        raise ValueError(f"{(~np.isfinite(x)).sum()} of the numbers are not finite: they have no nearest 4-bit float")
    return x.reshape(*x.shape[:-1], -1, block)


def round_e2m1(x, scales):
    """The nearest E2M1 codes of x in units of scales, uint8: halves towards zero as in ggml, beyond 6 the code of 6.

    x is compared with scaled midpoints, which are exact, so no division rounds first.
    """
    codes = sum((np.abs(x) > midpoint * scales).astype(np.uint8) for midpoint in MIDPOINTS)
    return codes | ((x < 0) & (codes > 0)).astype(np.uint8) << 3


def pack_halves(codes):
    """Codes [..., n] in n / 2 bytes: number i of the first half in the low bits, of the second in the high."""
    low, high = np.split(codes, 2, axis=-1)
    return low | high << 4


def unpack_halves(packed):
    """Inverse of pack_halves."""
    return np.concatenate([packed & 15, packed >> 4], axis=-1)


def mxfp4_encode(x):
    """Floats [..., n] as MXFP4 bytes [..., 17 n / 32]: for each 32 numbers a power of two (E8M0) and 16 bytes of codes.

    The scale is the largest power of two in the block's largest number, by 4, the largest power of two in E2M1: what
    lies above 6 of it becomes 6. It is 2^-127 where that would be smaller. Raises ValueError as blocks_of.
    """
    blocks = blocks_of(x, MX_BLOCK, MX_BLOCK)
    largest = np.abs(blocks).max(axis=-1, keepdims=True)
    # the logarithm rounds to float32 here as it does in ggml, which matters just below a power of two
    with np.errstate(divide="ignore"):
        exponents = np.where(largest > 0, np.floor(np.log2(largest)) - 2 + 127, 0)
    exponents = np.maximum(exponents, 0).astype(np.uint8)
    codes = round_e2m1(blocks, e8m0(exponents))
    return np.concatenate([exponents, pack_halves(codes)], axis=-1).reshape(*blocks.shape[:-2], -1)


def e8m0(exponents):
    """2 ** (e - 127) of uint8, float32. Raises ValueError for 255, which stands for no number."""
    if (exponents == 255).any():
        raise ValueError("a scale of 255 is E8M0's NaN: the block holds no numbers")
    return np.ldexp(np.float32(1), exponents.astype(np.int32) - 127)


def mxfp4_decode(stored):
    """Floats [..., n] of the bytes that mxfp4_encode makes. Raises ValueError for a length that is no whole block."""
    rows = bytes_of(stored, 1 + MX_BLOCK // 2)
    x = CODES[unpack_halves(rows[..., 1:])] * e8m0(rows[..., :1])
    return x.reshape(*rows.shape[:-2], -1)


def bytes_of(stored, size):
    """uint8 [..., n] as [..., n / size, size]."""
    stored = np.asarray(stored)
    if stored.dtype != np.uint8 or stored.ndim == 0 or stored.shape[-1] == 0 or stored.shape[-1] % size:
        raise ValueError(f"expected bytes in blocks of {size}, got {stored.dtype} of shape {stored.shape}")
    return stored.reshape(*stored.shape[:-1], -1, size)


def round_e4m3(x):
    """The nearest E4M3 codes of numbers from 0 on, uint8: halves to the even code, beyond 448 the code of 448."""
    above = np.minimum(np.searchsorted(E4M3, x), 126)
    below = np.maximum(above - 1, 0)
    low, high = x - E4M3[below], E4M3[above] - x
    return np.where((high < low) | ((high == low) & (above % 2 == 0)), above, below).astype(np.uint8)


def nvfp4_tensor_scale(x):
    """The scale of a whole tensor that gives its largest block the largest E4M3 scale; 1 for zeros."""
    largest = np.abs(np.asarray(x, np.float32)).max()
    return np.float32(largest / (E2M1[-1] * E4M3[-1])) if largest > 0 else np.float32(1)


def nvfp4_encode(x, tensor_scale=1.0):
    """Floats [..., n] as NVFP4 bytes [..., 36 n / 64]: for 64 numbers four E4M3 scales, then 8 bytes of codes each.

    A block of 16 has the scale that turns its largest number into 6. tensor_scale multiplies every block's scale; it is
    not stored here. Raises ValueError as blocks_of, and for a tensor_scale that is not positive.
    """
    if not 0 < tensor_scale < np.inf:
        raise ValueError(f"tensor_scale must be positive and finite, got {tensor_scale}")
    blocks = blocks_of(x, NV_BLOCK, NV_ROW) / np.float32(tensor_scale)
    scales = round_e4m3(np.abs(blocks).max(axis=-1) / E2M1[-1])
    packed = pack_halves(round_e2m1(blocks, E4M3[scales][..., None]))
    shape = *blocks.shape[:-2], -1, 4
    rows = [scales.reshape(shape), packed.reshape(*shape[:-1], NV_ROW // 2)]
    return np.concatenate(rows, axis=-1).reshape(*blocks.shape[:-2], -1)


def nvfp4_decode(stored, tensor_scale=1.0):
    """Floats [..., n] of the bytes that nvfp4_encode makes. Raises ValueError where a scale is none of E4M3."""
    rows = bytes_of(stored, 4 + NV_ROW // 2)
    if (rows[..., :4] >= len(E4M3)).any():
        raise ValueError("a scale is no E4M3 number of 0 or above")
    codes = unpack_halves(rows[..., 4:].reshape(*rows.shape[:-1], 4, NV_BLOCK // 2))
    x = CODES[codes] * E4M3[rows[..., :4]][..., None] * np.float32(tensor_scale)
    return x.reshape(*rows.shape[:-2], -1)
