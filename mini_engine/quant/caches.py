"""KV caches that hold int8: half the bytes of 16 bits, and a scale for each vector."""

import torch

from mini_engine.gpu.static_cache import StaticKVCache
from mini_engine.kv_cache import KVCache


def per_vector_int8(x):
    """int8 integers and a float16 scale [..., 1] for each vector along the last axis."""
    step = (x.abs().amax(dim=-1, keepdim=True).float() / 127).half()
    step = torch.where(step == 0, torch.ones_like(step), step)
    return torch.round(x / step.to(x.dtype)).clamp(-127, 127).to(torch.int8), step


class Int8KVCache(KVCache):
    """A contiguous cache that keeps keys and values in int8, with a float16 scale for each head's vector of each token.

    Head size D costs D + 2 bytes instead of 2 D in 16 bits. update() hands out all tokens as floats again, so what
    this teaching form saves is memory held, not memory read; a fused attention kernel converts while it reads.
    """

    def __init__(self, config, max_tokens, batch=1, dtype=torch.float32, device=None):
        super().__init__(config, max_tokens, batch, torch.int8, device)
        self.dtype = dtype
        self.k_scales = torch.empty((*self.k.shape[:-1], 1), dtype=torch.float16, device=device)
        self.v_scales = torch.empty_like(self.k_scales)

    @property
    def num_bytes(self):
        """Bytes held, full or not."""
        return super().num_bytes + self.k_scales.nbytes + self.v_scales.nbytes

    def update(self, layer, k, v):
        """As KVCache.update; the returned k and v are the stored ones, dequantized."""
        end = self.length + k.shape[2]
        self.check_room(k.shape[2])
        result = []
        for new, stored, scales in ((k, self.k[layer], self.k_scales[layer]), (v, self.v[layer], self.v_scales[layer])):
            stored[:, :, self.length : end], scales[:, :, self.length : end] = per_vector_int8(new)
            result.append(stored[:, :, :end].to(self.dtype) * scales[:, :, :end].to(self.dtype))
        return *result, None


class StaticInt8KVCache(StaticKVCache):
    """Int8KVCache with the fixed shapes of StaticKVCache; all max_tokens rows are dequantized in each step."""

    def __init__(self, config, max_tokens, batch=1, dtype=torch.float32, device=None):
        super().__init__(config, max_tokens, batch, torch.int8, device)
        self.mask_dtype = dtype
        self.k_scales = torch.zeros((*self.k.shape[:-1], 1), dtype=torch.float16, device=device)
        self.v_scales = torch.zeros_like(self.k_scales)

    @property
    def num_bytes(self):
        """Bytes held, full or not."""
        return super().num_bytes + self.k_scales.nbytes + self.v_scales.nbytes

    def update(self, layer, k, v):
        """As StaticKVCache.update; what is returned is dequantized."""
        result = []
        for new, stored, scales in ((k, self.k[layer], self.k_scales[layer]), (v, self.v[layer], self.v_scales[layer])):
            integers, step = per_vector_int8(new)
            stored.index_copy_(2, self.rows, integers)
            scales.index_copy_(2, self.rows, step)
            result.append(stored.to(self.mask_dtype) * scales.to(self.mask_dtype))
        return *result, self.mask
