"""KV caches in 8 and 4 bits: a head's vector of a token becomes blocks of 32 numbers, each with a scale of its own.

The blocks are those of GGUF files (Q8_0 and Q4_1 of ggml-quants.c), byte for byte. The bytes of a vector depend on that
vector and on nothing else, so it is stored the same in any batch, chunk, page or draft, and text stays equal. Scales
per channel of the keys, as in KIVI (2402.02750), would need the neighbours in time, which are not there yet.
"""

from types import SimpleNamespace
from typing import NamedTuple

import torch

from mini_engine.accounting import quantized_bytes
from mini_engine.kv_cache import KVCache
from mini_engine.paged_cache import PagedKVCache

GROUP = 32


class Format(NamedTuple):
    """Bits of a number, float16 numbers in front of each block, and the type that compiled kernels know it by."""

    bits: int
    num_header: int
    numpy_name: str


FORMATS = {"int8": Format(8, 1, "int8"), "int4": Format(4, 2, "uint8")}


def format_of(kv_dtype):
    """The Format of a name. Raises ValueError for a name that is not in FORMATS."""
    if kv_dtype not in FORMATS:
        raise ValueError(f"unknown type {kv_dtype!r} of a KV cache; known: {', '.join(FORMATS)}")
    return FORMATS[kv_dtype]


def vector_bytes(kv_dtype, head_dim):
    """Bytes of a head's vector; a head_dim that 32 does not divide is one block. Raises ValueError where it is odd."""
    kind = format_of(kv_dtype)
    if head_dim % 2:
        raise ValueError(f"numbers of 4 bits are stored in pairs: head_dim must be even, got {head_dim}")
    group = GROUP if head_dim % GROUP == 0 else head_dim
    return quantized_bytes(head_dim, kind.bits, group, 2 * kind.num_header)


def encode(x, kv_dtype):
    """Floats [..., D] as bytes [..., vector_bytes], uint8: for each block its scale, its minimum (int4), its integers.

    int8: x = q · scale, q of -127 to 127. int4: x = q · scale + minimum, q of 0 to 15; a byte holds number i of the
    block's first half in its low four bits and number i of the second half in its high ones.
    """
    kind, head_dim = format_of(kv_dtype), x.shape[-1]
    group = GROUP if head_dim % GROUP == 0 else head_dim
    blocks = x.float().unflatten(-1, (-1, group))
    if kind.bits == 8:
        step = blocks.abs().amax(-1, keepdim=True) / 127
        steps = blocks * torch.where(step == 0, 0, 1 / step)
        whole = steps.trunc()
        header = step.half()
        stored = (whole + (2 * (steps - whole)).trunc()).to(torch.int8).view(torch.uint8)  # halves away from zero
    else:
        lowest, highest = blocks.amin(-1, keepdim=True), blocks.amax(-1, keepdim=True)
        step = (highest - lowest) / 15
        q = ((blocks - lowest) * torch.where(step == 0, 0, 1 / step) + 0.5).to(torch.uint8).clamp_(max=15)
        low, high = q.unflatten(-1, (2, -1)).unbind(-2)
        header, stored = torch.cat([step.half(), lowest.half()], -1), low | high << 4
    return torch.cat([header.view(torch.uint8), stored], -1).flatten(-2)


def decode(stored, kv_dtype, head_dim, dtype=torch.float32):
    """What encode stored, as floats [..., D] of a dtype."""
    kind = format_of(kv_dtype)
    num_blocks = head_dim // GROUP if head_dim % GROUP == 0 else 1
    blocks = stored.unflatten(-1, (num_blocks, -1))
    header, q = blocks[..., : 2 * kind.num_header], blocks[..., 2 * kind.num_header :]
    scales = header.contiguous().view(torch.float16).float()
    if kind.bits == 8:
        x = q.view(torch.int8) * scales
    else:
        x = torch.cat([q & 15, q >> 4], -1) * scales[..., :1] + scales[..., 1:]
    return x.flatten(-2).to(dtype)


def shape_in_bytes(config, kv_dtype):
    """What a cache reads of a config, its vectors being bytes."""
    return SimpleNamespace(
        num_hidden_layers=config.num_hidden_layers,
        num_key_value_heads=config.num_key_value_heads,
        head_dim=vector_bytes(kv_dtype, config.head_dim),
        max_position_embeddings=config.max_position_embeddings,
    )


class QuantizedPagedKVCache(PagedKVCache):
    """A PagedKVCache whose pages hold the bytes of encode; kv_dtype: "int8" or "int4".

    Everything that moves blocks is inherited and moves bytes. update() hands out floats again, so in torch the memory
    held is saved and not the memory read; the compiled attention reads the pages as they are (cpu/attention.py).
    """

    def __init__(self, config, num_blocks, block_size, kv_dtype, dtype=torch.float32, device="cpu"):
        self.kv_dtype, self.head_dim, self.dtype = kv_dtype, config.head_dim, dtype
        super().__init__(shape_in_bytes(config, kv_dtype), num_blocks, block_size, torch.uint8, device)

    def _write_and_read(self, pools, which, layer, new):
        stored = super()._write_and_read(pools, which, layer, encode(new, self.kv_dtype))
        return decode(stored, self.kv_dtype, self.head_dim, self.dtype)

    def walk(self, num_new):
        """As PagedKVCache.walk; the pools are int8 or uint8, by which the kernels know the format."""
        *rows, pools = super().walk(num_new)
        return *rows, tuple(pool.view(format_of(self.kv_dtype).numpy_name) for pool in pools)


class QuantizedKVCache(KVCache):
    """The contiguous cache of the same bytes."""

    def __init__(self, config, max_tokens, batch=1, kv_dtype="int8", dtype=torch.float32, device=None):
        self.kv_dtype, self.head_dim, self.dtype = kv_dtype, config.head_dim, dtype
        super().__init__(shape_in_bytes(config, kv_dtype), max_tokens, batch, torch.uint8, device)

    def update(self, layer, k, v):
        """As KVCache.update; what is returned is decoded."""
        stored = super().update(layer, encode(k, self.kv_dtype), encode(v, self.kv_dtype))
        return *(decode(each, self.kv_dtype, self.head_dim, self.dtype) for each in stored[:2]), stored[2]

    def walk(self, num_new):
        """As QuantizedPagedKVCache.walk."""
        *rows, pools = super().walk(num_new)
        return *rows, tuple(pool.view(format_of(self.kv_dtype).numpy_name) for pool in pools)


def new_paged_cache(model, num_blocks, block_size, kv_dtype=None):
    """The paged cache of a model: its own dtype, or (kv_dtype) "int8" or "int4". Raises ValueError for another type."""
    if kv_dtype is None:
        return PagedKVCache(model.config, num_blocks, block_size, model.dtype, model.device)
    check_compiled(model)
    return QuantizedPagedKVCache(model.config, num_blocks, block_size, kv_dtype, model.dtype, model.device)


def new_cache(model, max_tokens, kv_dtype=None):
    """As new_paged_cache, contiguous and for one sequence."""
    if kv_dtype is None:
        return model.new_cache(max_tokens)
    check_compiled(model)
    return QuantizedKVCache(model.config, max_tokens, 1, kv_dtype, model.dtype, model.device)


def check_compiled(model):
    """Raise ValueError for a compiled model whose vectors are not whole blocks."""
    head_dim = model.config.head_dim
    if not isinstance(model, torch.nn.Module) and head_dim % GROUP:
        raise ValueError(
            f"the compiled kernels read a KV cache in blocks of {GROUP}, and head_dim is {head_dim}; torch's can"
        )
