"""Quantized layers for the torch engine: what runs when weights have few bits."""

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


class Int8Linear(nn.Module):
    """y = x @ W with W in int8, one scale per output, and float activations: what is read is a quarter, or half.

    q: int8 [out, in], scales: float32 [out]. The kernel of gpu/kernels.py multiplies with the float row; where Triton
    does not run, torch does so after making the floats again. On a CPU the compiled model (cpu/) is the fast one.
    """

    def __init__(self, weight):
        super().__init__()
        q, scales = per_output_int8(weight)
        self.register_buffer("q", q)
        self.register_buffer("scales", scales)

    def forward(self, x):
        rows = x.reshape(-1, x.shape[-1])
        y = kernels.int8_linear(rows, self.q, self.scales[:, None], out_dtype=x.dtype)
        return y.view(*x.shape[:-1], -1)


class W8A8Linear(Int8Linear):
    """y = x @ W with W and x both in int8: sums of whole numbers, and the activations lose precision too.

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
        sums = torch._int_mm((rows / x_scale).round_().to(torch.int8), self.q.T)
        y = (sums * self.scales).mul_(x_scale)
        return y.to(x.dtype).view(*x.shape[:-1], -1)


class Int4Linear(nn.Module):
    """y = x @ W with W in 4 bits, groups of 32, a scale and a minimum each: the Q4_1 blocks of GGUF, as Int8Linear.

    The integers of a Q4_1 checkpoint come back exactly. packed: uint8 [out, in / 2]; scales, minima: float16 [out,
    groups].
    """

    group_size = 32

    def __init__(self, weight):
        super().__init__()
        q, scales, minima = per_group_int4(weight, self.group_size)
        self.register_buffer("packed", kernels.pack_rows(q))
        self.register_buffer("scales", scales)
        self.register_buffer("minima", minima)

    def forward(self, x):
        rows = x.reshape(-1, x.shape[-1])
        y = kernels.int4_linear(rows, self.packed, self.scales, self.minima, out_dtype=x.dtype)
        return y.view(*x.shape[:-1], -1)


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
