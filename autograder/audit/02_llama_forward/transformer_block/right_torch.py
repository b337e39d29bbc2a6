"""the whole layer in torch, positions as complex numbers"""
import numpy as np
import torch
from torch.nn import functional as F


def transformer_block(x, weights, config):
    c, n, half = config, len(x), config.head_dim // 2
    t = torch.tensor(x)
    w = {name: torch.tensor(array).to(t.dtype) for name, array in weights.items()}
    turn = torch.polar(torch.ones(n, half).double(), torch.outer(torch.arange(n).double(), c.rope_theta ** (-torch.arange(half).double() / half)))

    def turned(a):
        z = torch.complex(a[..., :half].double(), a[..., half:].double()) * turn
        return torch.cat([z.real, z.imag], dim=-1).to(t.dtype)

    h = F.rms_norm(t, (t.shape[1],), w["attn_norm"], c.rms_norm_eps)
    q, k, v = ((h @ w[name]).view(n, -1, c.head_dim).transpose(0, 1) for name in ("w_q", "w_k", "w_v"))
    group = c.num_attention_heads // c.num_key_value_heads
    q, k, v = turned(q), turned(k).repeat_interleave(group, 0), v.repeat_interleave(group, 0)
    t = t + F.scaled_dot_product_attention(q, k, v, is_causal=True).transpose(0, 1).reshape(n, -1) @ w["w_o"]
    h = F.rms_norm(t, (t.shape[1],), w["mlp_norm"], c.rms_norm_eps)
    return (t + (F.silu(h @ w["w_gate"]) * (h @ w["w_up"])) @ w["w_down"]).numpy()
