"""Weight-only matrix-vector products in Triton: integers are read from memory and become floats in registers.

One program computes a block of outputs of one row of x. It walks along the inputs, loads a tile of integers, converts
it, multiplies, and keeps float32 sums; the scale of a group is applied to the group's sum. A decode step is limited by
the bytes of the weights, so what counts is that only integers and scales travel. Where Triton or a GPU is missing,
int8_linear and int4_linear compute the same in torch.
"""

import os

import torch

try:
    import triton
    import triton.language as tl
except ImportError:  # not on this platform: the torch fallbacks below serve
    triton = None

# outputs per program and inputs per step: the two knobs. A tile is BLOCK_OUT x BLOCK_IN integers.
BLOCK_OUT, BLOCK_IN = 16, 256
# every row of x reads the weights anew, so beyond a few rows it is cheaper to dequantize once and multiply
MAX_ROWS = 8
INTERPRETED = os.environ.get("TRITON_INTERPRET") == "1"


def use_triton(x):
    """Whether the kernels take x [M, in]: few rows, and Triton with a GPU or with its interpreter."""
    return triton is not None and x.shape[0] <= MAX_ROWS and (x.is_cuda or INTERPRETED)


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
    def _int8_kernel(x, q, scales, y, num_out, num_in, group_size, BLOCK_OUT: tl.constexpr, BLOCK_IN: tl.constexpr):
        """y[row, out] = sum over ins of x[row, in] * q[out, in] * scale[out, group]."""
        row = tl.program_id(1)
        out = (tl.program_id(0) * BLOCK_OUT + tl.arange(0, BLOCK_OUT))[:, None].to(tl.int64)
        total = tl.zeros([BLOCK_OUT, BLOCK_IN], dtype=tl.float32)
        for start in range(0, num_in, BLOCK_IN):
            ins = start + tl.arange(0, BLOCK_IN)[None, :]
            inside = (out < num_out) & (ins < num_in)
            group = out * (num_in // group_size) + ins // group_size
            weight = tl.load(q + out * num_in + ins, mask=inside, other=0).to(tl.float32)
            scale = tl.load(scales + group, mask=inside, other=0.0).to(tl.float32)
            value = tl.load(x + row * num_in + ins, mask=ins < num_in, other=0.0)
            total += weight * scale * value.to(tl.float32)
        outs = tl.program_id(0) * BLOCK_OUT + tl.arange(0, BLOCK_OUT)
        tl.store(y + row * num_out + outs, tl.sum(total, axis=1), mask=outs < num_out)

    @triton.jit
    def _int4_kernel(
        x, q, scales, minima, y, num_out, num_in, group_size, BLOCK_OUT: tl.constexpr, BLOCK_IN: tl.constexpr
    ):
        """As _int8_kernel, with two 4-bit integers in a byte, laid out by pack_rows, and a minimum per group."""
        row = tl.program_id(1)
        out = (tl.program_id(0) * BLOCK_OUT + tl.arange(0, BLOCK_OUT))[:, None].to(tl.int64)
        total = tl.zeros([BLOCK_OUT, BLOCK_IN], dtype=tl.float32)
        half = num_in // 2
        for start in range(0, half, BLOCK_IN):
            ins = start + tl.arange(0, BLOCK_IN)[None, :]
            inside = (out < num_out) & (ins < half)
            pair = tl.load(q + out * half + ins, mask=inside, other=0)
            for side in tl.static_range(2):
                at = ins + side * half
                group = out * (num_in // group_size) + at // group_size
                weight = (pair & 0xF if side == 0 else pair >> 4).to(tl.float32)
                scale = tl.load(scales + group, mask=inside, other=0.0).to(tl.float32)
                minimum = tl.load(minima + group, mask=inside, other=0.0).to(tl.float32)
                value = tl.load(x + row * num_in + at, mask=ins < half, other=0.0)
                total += (weight * scale + minimum) * value.to(tl.float32)
        outs = tl.program_id(0) * BLOCK_OUT + tl.arange(0, BLOCK_OUT)
        tl.store(y + row * num_out + outs, tl.sum(total, axis=1), mask=outs < num_out)


def _launch(kernel, x, num_out, weight_args, group_size, blocks):
    block_out, block_in = blocks or (BLOCK_OUT, BLOCK_IN)
    x = x.contiguous()
    y = torch.empty(x.shape[0], num_out, dtype=torch.float32, device=x.device)
    grid = (triton.cdiv(num_out, block_out), x.shape[0])
    kernel[grid](x, *weight_args, y, num_out, x.shape[1], group_size, BLOCK_OUT=block_out, BLOCK_IN=block_in)
    return y


def int8_linear(x, q, scales, blocks=None):
    """x @ W for an int8 weight: x [M, in], q int8 [out, in], scales [out, groups]; returns float32 [M, out].

    blocks: (outputs per program, inputs per step), powers of two; None takes the defaults. Raises ValueError
    when the shapes do not fit.
    """
    check_shapes(x, *q.shape, scales)
    if not use_triton(x):
        return int8_reference(x if x.is_cuda else x.float(), q, scales).float()
    return _launch(_int8_kernel, x, q.shape[0], (q, scales.contiguous()), q.shape[1] // scales.shape[1], blocks)


def int4_linear(x, packed, scales, minima, blocks=None):
    """x @ W for a 4-bit weight with minima: x [M, in], packed by pack_rows [out, in / 2]; returns float32 [M, out].

    scales, minima: [out, groups]. blocks: as for int8_linear. Raises ValueError when the shapes do not fit.
    """
    check_shapes(x, packed.shape[0], 2 * packed.shape[1], scales)
    if not use_triton(x):
        return int4_reference(x if x.is_cuda else x.float(), packed, scales, minima).float()
    group_size = 2 * packed.shape[1] // scales.shape[1]
    args = (packed, scales.contiguous(), minima.contiguous())
    return _launch(_int4_kernel, x, packed.shape[0], args, group_size, blocks)
