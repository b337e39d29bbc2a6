"""Quantized layers for the torch engine: what runs when weights have few bits."""

import functools
import warnings

import torch
from torch import nn

from mini_engine.gpu import kernels
from mini_engine.layers import Linear


def per_output_int8(weight):
    """int8 integers [out, in] and float32 scales [out] of a float weight [in, out], one scale for each output."""
    w = weight.detach().float().T
    scales = w.abs().amax(dim=1) / 127
    scales = torch.where(scales == 0, torch.ones_like(scales), scales)
    return torch.round(w / scales[:, None]).to(torch.int8).contiguous(), scales


def per_group_int4(weight, group_size):
    """uint8 integers 0..15 [out, in], float16 scales and minima [out, groups]: quantize(…, symmetric=False) in torch.

    On the weight's own device, since a large model would take minutes in NumPy.
    """
    groups = weight.detach().float().T.reshape(weight.shape[1], -1, group_size)
    lowest, highest = groups.amin(dim=2), groups.amax(dim=2)
    minima, scales = lowest.half(), ((highest - lowest) / 15).half()
    step = torch.where(scales == 0, torch.ones_like(scales), scales).float()
    q = torch.round((groups - minima.float()[:, :, None]) / step[:, :, None]).clamp_(0, 15)
    return q.to(torch.uint8).view(weight.shape[1], -1), scales, minima


class Int8Product(nn.Module):
    """What the int8 layers share: the integers of a weight, and their product with rows of integers.

    q: int8 [out, in], scales: float32 [out]. On processors with 8-bit dot products torch's packed product is used,
    for which the weight is kept a second time in that product's own layout.
    """

    def __init__(self, weight):
        super().__init__()
        q, scales = per_output_int8(weight)
        self.register_buffer("q", q)
        self.register_buffer("scales", scales)
        self.packed = pack_for_cpu(q, scales) if not weight.is_cuda and packed_product_is_exact() else None

    def product(self, rows):
        """rows [M, in], whole numbers from -128 to 127 as floats, times the dequantized weight: float32 [M, out]."""
        if self.packed is not None:
            return PACKED_PRODUCT(rows, 1.0, 128, self.packed)
        return torch._int_mm(rows.to(torch.int8), self.q.T) * self.scales


PACKED_PRODUCT = torch.ops.quantized.linear_with_input_q_dq_qweight_dq_output_fp32


def pack_for_cpu(q, scales):
    """An int8 weight [out, in] and its scales in the layout of PACKED_PRODUCT."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # quantized tensors are deprecated, the product is not
        zeros = torch.zeros(len(scales), dtype=torch.long)
        weight = torch._make_per_channel_quantized_tensor(q, scales.double(), zeros, 0)
        return torch.ops.quantized.linear_prepack(weight, None)


@functools.cache
def packed_product_is_exact():
    """Whether torch has the packed product here and its sums are exact: without 8-bit dot products they overflow."""
    try:
        q = torch.full((8, 64), -127, dtype=torch.int8)
        got = PACKED_PRODUCT(torch.full((2, 64), 127.0), 1.0, 128, pack_for_cpu(q, torch.ones(8)))
    except (RuntimeError, AttributeError):  # not built for this processor
        return False
    return bool((got == -127 * 127 * 64).all())


class Int8Linear(Int8Product):
    """y = x @ W with W in int8, one scale per output, and activations that keep 16 bits.

    Each row of x becomes 16-bit integers with a scale of its own, handed to the integer product as two rows of 8 bits:
    the weights are read once, and integer sums are exact. So a row's result does not depend on what else is in the
    batch. On CUDA the kernel of gpu/kernels.py multiplies with the float row instead.
    """

    def forward(self, x):
        rows = x.reshape(-1, x.shape[-1])
        if x.is_cuda:
            y = kernels.int8_linear(rows, self.q, self.scales[:, None], out_dtype=x.dtype)
        else:
            halves, row_scales = split_halves(rows.float())
            high, low = self.product(halves).chunk(2)
            y = torch.add(low, high, alpha=256).mul_(row_scales)
        return y.to(x.dtype).view(*x.shape[:-1], -1)


def split_halves(x):
    """Rows [M, in] as 16-bit integers in two halves of 8 bits: floats [2M, in], high first; scales [M, 1].

    x = (256 * high + low) * scale, up to half a step of 1/32512 of the row's largest.
    """
    scale = torch.linalg.vector_norm(x, float("inf"), dim=1, keepdim=True).clamp_min_(1e-30).div_(32512)
    steps = (x / scale).round_()
    high = steps.add(128).mul_(1 / 256).floor_()
    return torch.cat((high, torch.add(steps, high, alpha=-256))), scale


class W8A8Linear(Int8Product):
    """y = x @ W with W and x both in int8: the fastest on a CPU, and the activations lose precision too.

    per_row=True gives each row of x its own scale. False takes one scale for the whole batch, as some kernels do:
    then a row's result depends on its neighbours, and batched or speculative text can differ from single-stream text.
    """

    def __init__(self, weight, per_row=True):
        super().__init__(weight)
        self.per_row = per_row

    def forward(self, x):
        rows = x.reshape(-1, x.shape[-1]).float()
        dims = 1 if self.per_row else (0, 1)
        x_scale = torch.linalg.vector_norm(rows, float("inf"), dims, keepdim=True).clamp_min_(1e-30).div_(127)
        y = self.product((rows / x_scale).round_()).mul_(x_scale)
        return y.to(x.dtype).view(*x.shape[:-1], -1)


class Int4Linear(nn.Module):
    """y = x @ W with W in 4 bits, groups of 32, a scale and a minimum each: the Q4_1 blocks of GGUF.

    The integers of a Q4_1 checkpoint come back exactly. On a CPU torch's packed product takes bfloat16 rows and
    scales (with float32 it is many times slower), which costs about three decimal digits.
    """

    group_size = 32

    def __init__(self, weight):
        super().__init__()
        q, scales, minima = per_group_int4(weight, self.group_size)
        if weight.is_cuda:
            packed = kernels.pack_rows(q)
        else:
            packed = torch.ops.aten._convert_weight_to_int4pack_for_cpu(q.int(), 1)
            # the operator computes (q - 8) * scale + zero
            pairs = torch.stack((scales.float(), minima.float() + 8 * scales.float()), dim=-1)
            scales, minima = pairs.transpose(0, 1).bfloat16().contiguous(), None
        self.register_buffer("packed", packed)
        self.register_buffer("scales", scales)
        self.register_buffer("minima", minima)

    def forward(self, x):
        rows = x.reshape(-1, x.shape[-1])
        if x.is_cuda:
            y = kernels.int4_linear(rows, self.packed, self.scales, self.minima, out_dtype=x.dtype)
        else:
            y = torch.ops.aten._weight_int4pack_mm_for_cpu(rows.bfloat16(), self.packed, self.group_size, self.scales)
        return y.to(x.dtype).view(*x.shape[:-1], -1)


# scheme: (class of the layers' matrices, class of the head)
SCHEMES = {"int8": (Int8Linear, Int8Linear), "int4": (Int4Linear, Int8Linear), "w8a8": (W8A8Linear, W8A8Linear)}


def quantize_model(model, scheme):
    """Replace every Linear of an engine model by a quantized one, in place, and return the model.

    scheme: "int8" (weights only), "int4" (weights only, the head in int8) or "w8a8" (activations too: never where
    equal text is claimed). A tied embedding stays float for the look-up. Raises ValueError for another scheme.
    """
    if scheme not in SCHEMES:
        raise ValueError(f"unknown scheme {scheme!r}; known: {', '.join(SCHEMES)}")
    body, head = SCHEMES[scheme]
    for parent in list(model.modules()):
        for name, child in list(parent.named_children()):
            if isinstance(child, Linear):
                setattr(parent, name, (head if name == "lm_head" else body)(child.weight))
    return model


def bytes_read_per_token(model):
    """Bytes of the weights that one decode step reads: all linear layers and norms, not the embedding's other rows."""
    if not isinstance(model, nn.Module):  # a compiled model has no tensors to look at
        return model.bytes_read_per_token
    head = getattr(model.lm_head, "weight", None)
    tied = head is not None and head.data_ptr() == model.embedding.data_ptr()
    tensors = {t.data_ptr(): t.nbytes for t in [*model.parameters(), *model.buffers()]}
    if not tied:
        tensors.pop(model.embedding.data_ptr())
    for table in (model.cos, model.sin):
        tensors.pop(table.data_ptr(), None)
    return sum(tensors.values())
