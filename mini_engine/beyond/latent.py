"""Multi-head latent attention: one short vector per token is cached instead of keys and values (2405.04434, 2.1)."""

from dataclasses import dataclass, replace

import torch
from torch import nn

from mini_engine.config import ModelConfig
from mini_engine.kv_cache import KVCache
from mini_engine.layers import attention
from mini_engine.rope import apply_rope


@dataclass(frozen=True)
class LatentConfig(ModelConfig):
    """A shape with MLA. head_dim is what RoPE turns, qk_rope_head_dim; the other sizes as in DeepseekV2Config."""

    kv_lora_rank: int = 512
    qk_nope_head_dim: int = 128
    v_head_dim: int = 128


class LatentCache(KVCache):
    """KVCache with one row per token and layer: its latent and its one rotated key, kv_lora_rank + head_dim numbers.

    update(layer, rows, rows[..., :0]) writes rows [B, 1, N, rank + rope]; what comes back as k is all rows so far.
    """

    def __init__(self, config, max_tokens, batch=1, dtype=torch.float32, device=None):
        one = replace(
            config, num_attention_heads=1, num_key_value_heads=1, head_dim=config.kv_lora_rank + config.head_dim
        )
        super().__init__(one, max_tokens, batch, dtype, device)
        self.v = self.k[..., :0]  # values are made from the same latent


class LatentAttention(nn.Module):
    """MLA with the up-projections absorbed: queries meet the cached latents, and no key or value is rebuilt.

    query: x -> [H * (nope + rope)]. down: x -> [rank + rope]. norm: RMSNorm over rank. up_k: [H, rank, nope].
    up_v: [H, rank, v]. out: [H * v] -> d.
    """

    def __init__(self, config, layer, query, down, norm, up_k, up_v, out):
        super().__init__()
        self.config, self.layer = config, layer
        self.query, self.down, self.norm, self.out = query, down, norm, out
        self.up_k, self.up_v = (nn.Parameter(up, requires_grad=False) for up in (up_k, up_v))

    def forward(self, x, cos, sin, cache):
        """x: [B, N, d]. cos, sin: [B, N, 1, rope / 2]. Returns [B, N, d]."""
        num_heads, rank, nope = self.up_k.shape
        q = self.query(x).unflatten(-1, (num_heads, -1))  # [B, N, H, nope + rope]
        row = self.down(x).unsqueeze(2)  # [B, N, 1, rank + rope]
        c = self.norm(row[..., :rank])
        k_rope = apply_rope(row[..., rank:], cos, sin)
        rows = torch.cat((c, k_rope), dim=-1).transpose(1, 2)
        rows, _, mask = cache.update(self.layer, rows, rows[..., :0])
        # q . (c W) = (q W') . c: the query moves, the cache stays as it is
        absorbed = torch.einsum("bnhd,hcd->bnhc", q[..., :nope], self.up_k)
        turned = apply_rope(q[..., nope:], cos, sin)
        width = q.shape[-1]
        q = torch.cat((absorbed, turned), dim=-1).transpose(1, 2)
        # attention() divides by the root of what it sees, not of `width`
        q = q * (q.shape[-1] / width) ** 0.5
        mixed = attention(q, rows, rows, mask)[..., :rank]
        heads = torch.einsum("bhnc,hcv->bnhv", mixed, self.up_v)
        return self.out(heads.flatten(2))
