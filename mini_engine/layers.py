"""The parts of a LLaMA decoder layer, in torch."""

import torch
from torch import nn
from torch.nn import functional as F

from mini_engine.rope import apply_rope


class Linear(nn.Module):
    """y = x @ W with W [in, out] and no bias: LLaMA has none.

    This is the seam for quantized weights: replace the module by one that takes the same x [..., in] and gives
    y [..., out]. Row-major [in, out] is also the faster layout for 4 to 16 tokens on a CPU.
    """

    def __init__(self, weight):
        super().__init__()
        self.weight = nn.Parameter(weight, requires_grad=False)

    def forward(self, x):
        if x.is_cuda or torch.compiler.is_compiling():  # a compiled pass cannot ask for the number of threads
            return x @ self.weight
        num_parts, rows = torch.get_num_threads(), x.numel() // x.shape[-1]
        if rows > FEW_ROWS or num_parts == 1 or self.weight.numel() < LARGE_WEIGHT:
            return x @ self.weight
        return product_of_few_rows(x.reshape(rows, -1), self.weight, num_parts).view(*x.shape[:-1], -1)


# on a CPU torch multiplies so few rows on one core, which reads slower than the memory could give
FEW_ROWS, LARGE_WEIGHT = 8, 1 << 17


def product_of_few_rows(x, weight, num_parts):
    """x [M, in] @ weight [in, out] as num_parts products side by side, one for each core, where the sizes allow it.

    A row-major weight is split along its inputs and the partial sums are added, a transposed one (a tied head) along
    its outputs: either way each part is one run of memory, and nothing is copied.
    """
    if weight.is_contiguous() and weight.shape[0] % num_parts == 0:
        parts = x.view(len(x), num_parts, -1).transpose(0, 1)
        return torch.bmm(parts, weight.view(num_parts, -1, weight.shape[1])).sum(0)
    if weight.T.is_contiguous() and weight.shape[1] % num_parts == 0:
        parts = weight.T.view(num_parts, -1, len(weight)).transpose(1, 2)
        return torch.bmm(x.expand(num_parts, -1, -1), parts).transpose(0, 1).reshape(len(x), -1)
    return x @ weight


class RMSNorm(nn.Module):
    """x / sqrt(mean(x^2) + eps) * weight over the last axis, computed in float32 at least (1910.07467)."""

    def __init__(self, weight, eps):
        super().__init__()
        self.weight = nn.Parameter(weight, requires_grad=False)
        self.eps = eps

    def forward(self, x):
        return F.rms_norm(x, self.weight.shape, self.weight, self.eps)


def attention(q, k, v, mask=None):
    """Scaled dot-product attention with grouped KV heads.

    q: [B, H_q, N, D], the new tokens. k, v: [B, H_kv, S, D], all tokens so far, the new ones last.
    mask: bool [B or 1, 1, N, S], True where a query may look; None means causal, aligned to the end.
    Returns [B, H_q, N, D].
    """
    batch, num_heads, num_new, head_dim = q.shape
    num_kv_heads, num_keys = k.shape[1], k.shape[2]
    if mask is None and num_new == num_keys:
        return F.scaled_dot_product_attention(q, k, v, is_causal=True, enable_gqa=num_heads != num_kv_heads)
    group = num_heads // num_kv_heads
    if mask is None and num_new > 1:
        mask = torch.ones(num_new, num_keys, dtype=torch.bool, device=q.device).tril(num_keys - num_new)[None, None]
    if mask is not None and num_new > 1 and group > 1:
        mask = mask.repeat(1, 1, group, 1)
    # the query heads that share a KV head become further query rows, so K and V are read where they lie, not repeated
    folded = q.reshape(batch, num_kv_heads, group * num_new, head_dim)
    return F.scaled_dot_product_attention(folded, k, v, attn_mask=mask).view(q.shape)


class Attention(nn.Module):
    """Self-attention of one layer: fused QKV projection, RoPE, the cache, grouped attention, output projection."""

    def __init__(self, config, layer, qkv, out):
        super().__init__()
        self.layer = layer
        self.num_heads, self.num_kv_heads = config.num_attention_heads, config.num_key_value_heads
        self.head_dim = config.head_dim
        self.qkv, self.out = qkv, out

    def forward(self, x, cos, sin, cache):
        """x: [B, N, d], the new tokens. cos, sin: [B, N, 1, D/2]. The cache is written and read. Returns [B, N, d]."""
        batch, num_new, _ = x.shape
        heads = self.qkv(x).view(batch, num_new, -1, self.head_dim)
        num_rotated = self.num_heads + self.num_kv_heads  # Q and K turn, V does not
        rotated = apply_rope(heads[:, :, :num_rotated], cos, sin).transpose(1, 2)
        q, k = rotated[:, : self.num_heads], rotated[:, self.num_heads :]
        v = heads[:, :, num_rotated:].transpose(1, 2)
        k, v, mask = cache.update(self.layer, k, v)
        mixed = attention(q, k, v, mask).transpose(1, 2).reshape(batch, num_new, -1)
        return self.out(mixed)


class SwiGLU(nn.Module):
    """down(silu(gate(x)) * up(x)) (Shazeer 2020, 2002.05202), gate and up fused into one product."""

    def __init__(self, gate_up, down):
        super().__init__()
        self.gate_up, self.down = gate_up, down

    def forward(self, x):
        gate, up = self.gate_up(x).chunk(2, dim=-1)
        return self.down(F.silu(gate) * up)


class DecoderLayer(nn.Module):
    """Pre-norm residual block: x + attention(norm(x)), then x + mlp(norm(x))."""

    def __init__(self, attn_norm, attn, mlp_norm, mlp):
        super().__init__()
        self.attn_norm, self.attn, self.mlp_norm, self.mlp = attn_norm, attn, mlp_norm, mlp

    def forward(self, x, cos, sin, cache):
        x = x + self.attn(self.attn_norm(x), cos, sin, cache)
        return x + self.mlp(self.mlp_norm(x))
