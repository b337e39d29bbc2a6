"""Products of a few rows with an int8 or int4 weight in Triton: integers are read, and become floats in registers.

A decode step is limited by the bytes of the weights, so what counts is that only integers and scales travel, each
once. One row: a program computes a block of outputs; it walks along the inputs and sums in float32, run by run, and
each run's sum meets its scale. Up to 32 rows (a batch, drafts to verify): the same walk, but a tile of converted
weights meets all rows at once in the matrix units. More rows, no GPU or no Triton: the weight is dequantized in torch.
"""

import math
import os
from dataclasses import dataclass

import torch

try:
    import triton
    import triton.language as tl
except ImportError:  # not on this platform: the torch fallbacks below serve
    triton = None

MAX_ROWS = 32
INTERPRETED = os.environ.get("TRITON_INTERPRET") == "1"


@dataclass(frozen=True)
class Knobs:
    """How a product is cut: outputs per program, inputs per step of its walk (powers of two), warps per program."""

    block_out: int
    block_in: int
    num_warps: int


# a first guess for one row and for more; bench/tuning.py finds what is fastest on the GPU at hand
ONE_ROW, MORE_ROWS = Knobs(4, 1024, 4), Knobs(32, 128, 4)
_chosen = {}  # (is one row, bits) -> the Knobs that use_knobs set


def use_knobs(knobs, bits, one_row=True):
    """Use these Knobs from here on for 8-bit or 4-bit weights; None goes back to the first guess."""
    _chosen[one_row, bits] = knobs


def why_not_triton(x):
    """None where the kernels take x [M, in], else in one line why they do not and what happens instead."""
    if triton is None:
        return "Triton is not installed: the weight is dequantized and multiplied in torch, which is slower"
    if not (x.is_cuda or INTERPRETED):
        return "x is not on a GPU: the product is computed in torch"
    if x.shape[0] > MAX_ROWS:
        return f"{x.shape[0]} rows are more than {MAX_ROWS}: the weight is dequantized once and multiplied in torch"
    return None


def check_shapes(x, num_out, num_in, scales):
    """Raise ValueError unless x [M, in] and scales [out, groups] fit a weight [out, in]."""
    if x.shape[-1] != num_in or scales.shape[0] != num_out or num_in % scales.shape[1]:
        raise ValueError(
            f"x {tuple(x.shape)}, weight ({num_out}, {num_in}) and scales {tuple(scales.shape)} do not fit"
        )


def pack_rows(q):
    """Values 0..15, uint8 [out, in], as uint8 [out, in / 2]: input i in the low half of byte i, i + in/2 in the high.

    The halves are split at the middle of the row, so that either half of a byte meets one contiguous run of x.
    """
    half = q.shape[1] // 2
    return (q[:, :half] | (q[:, half:] << 4)).contiguous()


def unpack_rows(packed):
    """Inverse of pack_rows."""
    return torch.cat((packed & 0xF, packed >> 4), dim=1)


def int8_reference(x, q, scales):
    """x [M, in] @ dequantized weight: q int8 [out, in], scales [out, groups]. In x's dtype (float64 to check)."""
    w = q.to(x.dtype).view(q.shape[0], scales.shape[1], -1) * scales.to(x.dtype)[:, :, None]
    return x @ w.view(q.shape).T


def int4_reference(x, packed, scales, minima):
    """x [M, in] @ dequantized weight: packed uint8 [out, in / 2], scales and minima [out, groups]."""
    q = unpack_rows(packed)
    w = q.to(x.dtype).view(q.shape[0], scales.shape[1], -1) * scales.to(x.dtype)[:, :, None]
    return x @ (w + minima.to(x.dtype)[:, :, None]).view(q.shape).T


if triton is not None:

    @triton.jit
    def _one_row_kernel(
        x, q, scales, minima, y, num_out, num_in, group_size,
        BLOCK_OUT: tl.constexpr, BLOCK_IN: tl.constexpr, RUN: tl.constexpr, PER_BYTE: tl.constexpr,
    ):  # fmt: skip
        """y[out] = sum over groups of scale * sum(q * x) + minimum * sum(x). RUN inputs share a group.

        PER_BYTE is 1 for int8 (without minima) and 2 for int4, laid out by pack_rows: the second half of a row's
        inputs stands in the high halves of its bytes.
        """
        outs = tl.program_id(0) * BLOCK_OUT + tl.arange(0, BLOCK_OUT)
        row = outs[:, None].to(tl.int64)
        num_bytes = num_in // PER_BYTE
        total = tl.zeros([BLOCK_OUT, BLOCK_IN // RUN], dtype=tl.float32)
        for start in range(0, num_bytes, BLOCK_IN):
            runs = start + tl.arange(0, BLOCK_IN // RUN) * RUN
            at = runs[None, :, None] + tl.arange(0, RUN)[None, None, :]
            inside = (outs[:, None, None] < num_out) & (at < num_bytes)
            inside_runs = (row < num_out) & (runs[None, :] < num_bytes)
            packed = tl.load(q + row[:, :, None] * num_bytes + at, mask=inside, other=0)
            for side in tl.static_range(PER_BYTE):
                value = tl.load(x + side * num_bytes + at, mask=at < num_bytes, other=0.0).to(tl.float32)
                weight = packed if PER_BYTE == 1 else (packed & 0xF if side == 0 else packed >> 4)
                group = row * (num_in // group_size) + (side * num_bytes + runs[None, :]) // group_size
                scale = tl.load(scales + group, mask=inside_runs, other=0.0).to(tl.float32)
                total += tl.sum(weight.to(tl.float32) * value, axis=2) * scale
                if PER_BYTE == 2:
                    minimum = tl.load(minima + group, mask=inside_runs, other=0.0).to(tl.float32)
                    total += tl.sum(value, axis=2) * minimum
        tl.store(y + outs, tl.sum(total, axis=1), mask=outs < num_out)

    @triton.jit
    def _rows_kernel(
        x, q, scales, minima, y, num_rows, num_out, num_in, group_size,
        ROWS: tl.constexpr, BLOCK_OUT: tl.constexpr, BLOCK_IN: tl.constexpr, PER_BYTE: tl.constexpr,
    ):  # fmt: skip
        """As _one_row_kernel for ROWS rows, padded to what the matrix units take; BLOCK_IN inputs share a group."""
        outs = tl.program_id(0) * BLOCK_OUT + tl.arange(0, BLOCK_OUT)
        rows = tl.arange(0, ROWS)[:, None]
        num_bytes = num_in // PER_BYTE
        total = tl.zeros([ROWS, BLOCK_OUT], dtype=tl.float32)
        for start in range(0, num_bytes, BLOCK_IN):
            at = start + tl.arange(0, BLOCK_IN)
            inside = (at[:, None] < num_bytes) & (outs[None, :] < num_out)
            packed = tl.load(q + outs[None, :].to(tl.int64) * num_bytes + at[:, None], mask=inside, other=0)
            for side in tl.static_range(PER_BYTE):
                filled = (rows < num_rows) & (at[None, :] < num_bytes)
                value = tl.load(x + rows * num_in + side * num_bytes + at[None, :], mask=filled, other=0.0)
                weight = packed if PER_BYTE == 1 else (packed & 0xF if side == 0 else packed >> 4)
                group = outs * (num_in // group_size) + (side * num_bytes + start) // group_size
                scale = tl.load(scales + group, mask=outs < num_out, other=0.0).to(tl.float32)
                product = tl.dot(value, weight.to(value.dtype), input_precision="ieee")
                total += product * scale[None, :]
                if PER_BYTE == 2:
                    minimum = tl.load(minima + group, mask=outs < num_out, other=0.0).to(tl.float32)
                    total += tl.sum(value.to(tl.float32), axis=1)[:, None] * minimum[None, :]
        tl.store(y + rows * num_out + outs[None, :], total, mask=(rows < num_rows) & (outs[None, :] < num_out))


def _launch(x, q, scales, minima, bits, knobs, out_dtype):
    (num_rows, num_in), num_out, per_byte = x.shape, q.shape[0], 8 // bits
    group_size = num_in // scales.shape[1]
    x, q, scales = x.contiguous(), q.contiguous(), scales.contiguous()
    minima = scales if minima is None else minima.contiguous()
    y = torch.empty(num_rows, num_out, dtype=out_dtype, device=x.device)
    one_row = num_rows == 1
    knobs = knobs or _chosen.get((one_row, bits)) or (ONE_ROW if one_row else MORE_ROWS)
    # the largest power of two inputs that never straddle two groups; any when there is one group
    half = math.gcd(group_size, num_in // per_byte)
    shared = half & -half if group_size < num_in else knobs.block_in
    grid = (triton.cdiv(num_out, knobs.block_out),)
    if one_row:
        sizes = {"BLOCK_OUT": knobs.block_out, "BLOCK_IN": knobs.block_in, "RUN": min(16, shared, knobs.block_in)}
        args = (x, q, scales, minima, y, num_out, num_in, group_size)
        _one_row_kernel[grid](*args, **sizes, PER_BYTE=per_byte, num_warps=knobs.num_warps)
    else:
        sizes = {"ROWS": 16 if num_rows <= 16 else MAX_ROWS, "BLOCK_OUT": knobs.block_out}
        args = (x, q, scales, minima, y, num_rows, num_out, num_in, group_size)
        block_in = min(knobs.block_in, shared)
        if block_in < 16:  # too narrow for the matrix units
            parts = [_launch(row, q, scales, minima, bits, None, out_dtype) for row in x.split(1)]
            return torch.cat(parts)
        _rows_kernel[grid](*args, **sizes, BLOCK_IN=block_in, PER_BYTE=per_byte, num_warps=knobs.num_warps)
    return y


def int8_linear(x, q, scales, knobs=None, out_dtype=torch.float32):
    """x @ W for an int8 weight: x [M, in], q int8 [out, in], scales [out, groups]; returns [M, out].

    knobs: None takes those that use_knobs set, or the first guess. Raises ValueError when the shapes do not fit.
    """
    check_shapes(x, *q.shape, scales)
    if why_not_triton(x):
        return int8_reference(x if x.is_cuda else x.float(), q, scales).to(out_dtype)
    return _launch(x, q, scales, None, 8, knobs, out_dtype)


def int4_linear(x, packed, scales, minima, knobs=None, out_dtype=torch.float32):
    """x @ W for a 4-bit weight with minima: x [M, in], packed by pack_rows [out, in / 2]; returns [M, out].

    scales, minima: [out, groups]. knobs: as for int8_linear. Raises ValueError when the shapes do not fit.
    """
    check_shapes(x, packed.shape[0], 2 * packed.shape[1], scales)
    if why_not_triton(x):
        return int4_reference(x if x.is_cuda else x.float(), packed, scales, minima).to(out_dtype)
    return _launch(x, packed, scales, minima, 4, knobs, out_dtype)
