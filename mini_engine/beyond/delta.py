"""Linear attention with a state instead of a cache: the gated delta rule (Yang et al. 2024, 2412.06464)."""

from dataclasses import dataclass

import torch
from torch import nn
from torch.nn import functional as F

from mini_engine.config import ModelConfig


@dataclass(frozen=True)
class DeltaConfig(ModelConfig):
    """A shape with gated delta layers; the field names are those of Qwen3NextConfig."""

    linear_num_key_heads: int = 16
    linear_num_value_heads: int = 32
    linear_key_head_dim: int = 128
    linear_value_head_dim: int = 128
    linear_conv_kernel_dim: int = 4


class StateCache:
    """In the place of a KV cache: per layer a matrix for each head and the last inputs of a short convolution.

    Its bytes do not depend on the length of the text. positions(), advance() and truncate() as in KVCache, but a state
    cannot be taken back: truncate() goes to 0 or stays.
    """

    def __init__(self, config, max_tokens, batch=1, dtype=torch.float32, device=None):
        if not 1 <= max_tokens <= config.max_position_embeddings:
            raise ValueError(f"max_tokens must be 1 to {config.max_position_embeddings}, got {max_tokens}")
        heads, d_k, d_v = config.linear_num_value_heads, config.linear_key_head_dim, config.linear_value_head_dim
        channels = 2 * config.linear_num_key_heads * d_k + heads * d_v
        layers = config.num_hidden_layers
        self.state = torch.zeros(layers, batch, heads, d_k, d_v, dtype=torch.float32, device=device)
        self.tail = torch.zeros(layers, batch, channels, config.linear_conv_kernel_dim - 1, dtype=dtype, device=device)
        self.batch, self.max_tokens, self.length = batch, max_tokens, 0

    @property
    def num_bytes(self):
        """Bytes held, for a text of any length."""
        return self.state.nbytes + self.tail.nbytes

    def positions(self, num_new):
        """Positions [batch, num_new] of the next tokens. Raises ValueError beyond max_tokens."""
        if self.length + num_new > self.max_tokens:
            raise ValueError(f"{self.length} of {self.max_tokens} tokens used, {num_new} more asked for")
        return torch.arange(self.length, self.length + num_new, device=self.state.device).expand(self.batch, num_new)

    def update(self, layer, state, tail):
        """Replace a layer's state [B, H, d_k, d_v] and convolution tail [B, channels, kernel - 1]."""
        self.state[layer], self.tail[layer] = state, tail

    def advance(self, num_new):
        """Count num_new tokens as read: called once, after the last layer of a pass."""
        self.length += num_new

    def truncate(self, length):
        """Start again at 0. Raises ValueError for any other shorter length: a sum does not give back its parts."""
        if length not in (0, self.length):
            raise ValueError(f"a state of {self.length} tokens cannot go back to {length}, only to 0")
        if length == 0:
            self.state.zero_(), self.tail.zero_()
        self.length = length


def delta_step(state, q, k, v, decay, beta):
    """One token of the gated delta rule. Returns (what the query reads [..., d_v], the new state).

    state: [..., d_k, d_v]. q, k: [..., d_k]. v: [..., d_v]. decay, beta: [...], 0 to 1. The state fades; what it still
    answers to k is taken off v; the difference, times beta, is written under k.
    """
    state = state * decay[..., None, None]
    told = torch.einsum("...kv,...k->...v", state, k)
    state = state + torch.einsum("...k,...v->...kv", k, (v - told) * beta[..., None])
    return torch.einsum("...kv,...k->...v", state, q), state


class GatedDelta(nn.Module):
    """In the place of attention, as in Qwen3-Next: short convolution, gated delta rule, gated norm.

    qkv: x -> queries, keys, values, flat. gates: x -> [beta's H logits, decay's H logits]. z: x -> [H * d_v].
    conv: [channels, 1, kernel]. log_rate, rate_bias: [H]. norm: RMSNorm over d_v. out: [H * d_v] -> d.
    """

    def __init__(self, config, layer, qkv, gates, z, conv, log_rate, rate_bias, norm, out):
        super().__init__()
        self.config, self.layer = config, layer
        self.qkv, self.gates, self.z, self.norm, self.out = qkv, gates, z, norm, out
        self.conv, self.log_rate, self.rate_bias = (
            nn.Parameter(p, requires_grad=False) for p in (conv, log_rate, rate_bias)
        )

    def queries_keys_values(self, x, cache):
        """x: [B, N, d]. Returns q, k [B, N, H, d_k] of length 1, q scaled; v [B, N, H, d_v]; the new tail."""
        c = self.config
        inputs = torch.cat((cache.tail[self.layer], self.qkv(x).mT), dim=-1)  # [B, channels, kernel - 1 + N]
        mixed = F.silu(F.conv1d(inputs, self.conv, groups=len(self.conv))).mT
        keys = c.linear_num_key_heads * c.linear_key_head_dim
        q, k, v = mixed.split([keys, keys, mixed.shape[-1] - 2 * keys], dim=-1)
        group = c.linear_num_value_heads // c.linear_num_key_heads
        q, k = (part.unflatten(-1, (-1, c.linear_key_head_dim)).repeat_interleave(group, dim=2) for part in (q, k))
        q, k = (part * torch.rsqrt(part.square().sum(-1, keepdim=True) + 1e-6) for part in (q, k))
        tail = inputs[..., inputs.shape[-1] - c.linear_conv_kernel_dim + 1 :]
        return q * c.linear_key_head_dim**-0.5, k, v.unflatten(-1, (-1, c.linear_value_head_dim)), tail

    def forward(self, x, cos, sin, cache):
        """x: [B, N, d]; cos and sin are not used: the decay tells near from far. Returns [B, N, d]."""
        q, k, v, tail = self.queries_keys_values(x, cache)
        to_beta, to_decay = self.gates(x).chunk(2, dim=-1)
        beta, decay = to_beta.sigmoid(), torch.exp(-self.log_rate.exp() * F.softplus(to_decay + self.rate_bias))
        state, read = cache.state[self.layer], []
        for t in range(x.shape[1]):
            out, state = delta_step(state, q[:, t], k[:, t], v[:, t], decay[:, t], beta[:, t])
            read.append(out)
        cache.update(self.layer, state, tail)
        gated = self.norm(torch.stack(read, dim=1)) * F.silu(self.z(x).unflatten(-1, (-1, v.shape[-1])))
        return self.out(gated.flatten(2))
