"""Mixture of experts: a router picks a few of many small MLPs for each token (Shazeer et al. 2017, 1701.06538)."""

import torch
from torch import nn
from torch.nn import functional as F


class Router(nn.Module):
    """Picks top_k of E experts for each token and says how much each counts.

    weight: [d, E]. bias: [E] or None. renormalise: the chosen weights are divided by their sum, as Mixtral does
    (2401.04088, section 2.1); without it a token keeps the probabilities of the softmax over all experts.
    """

    def __init__(self, weight, top_k, bias=None, renormalise=True):
        super().__init__()
        if not 1 <= top_k <= weight.shape[1]:
            raise ValueError(f"top_k must be 1 to {weight.shape[1]}, got {top_k}")
        self.weight, self.bias = (p if p is None else nn.Parameter(p, requires_grad=False) for p in (weight, bias))
        self.top_k, self.renormalise = top_k, renormalise

    def forward(self, x):
        """x: [T, d]. Returns (experts [T, top_k], their weights [T, top_k])."""
        logits = x @ self.weight if self.bias is None else x @ self.weight + self.bias
        weights, chosen = logits.softmax(-1).topk(self.top_k, dim=-1)
        return chosen, weights / weights.sum(-1, keepdim=True) if self.renormalise else weights


def swiglu(gate_up):
    """silu(gate) * up for gate_up [..., 2f], gate first."""
    gate, up = gate_up.chunk(2, dim=-1)
    return F.silu(gate) * up


class Experts(nn.Module):
    """E MLPs of d -> f -> d, stored as stacks, computed in groups: each chosen expert's weights are read once.

    gate_up: [E, d, 2f]. down: [E, f, d]. gate_up_bias [E, 2f] and down_bias [E, d] may be None.
    """

    def __init__(self, gate_up, down, gate_up_bias=None, down_bias=None, activation=swiglu):
        super().__init__()
        self.gate_up, self.down = (nn.Parameter(stack, requires_grad=False) for stack in (gate_up, down))
        self.gate_up_bias = gate_up.new_zeros(len(gate_up), gate_up.shape[2]) if gate_up_bias is None else gate_up_bias
        self.down_bias = down.new_zeros(len(down), down.shape[2]) if down_bias is None else down_bias
        self.activation = activation

    def one(self, expert, x):
        """What one expert makes of x [T, d]: [T, d]."""
        hidden = self.activation(x @ self.gate_up[expert] + self.gate_up_bias[expert])
        return hidden @ self.down[expert] + self.down_bias[expert]

    def forward(self, x, chosen, weights):
        """x: [T, d]. chosen, weights: [T, k]. Returns the sum [T, d]."""
        # pairs of (token, place), those of expert 0 first
        order = chosen.flatten().argsort(stable=True)
        tokens, scale = order // chosen.shape[1], weights.flatten()[order]
        out, start = torch.zeros_like(x), 0
        load = expert_load(chosen, len(self.down)).tolist()
        for expert, count in enumerate(load):
            if count:
                group = slice(start, start + count)
                y = self.one(expert, x[tokens[group]])
                out.index_add_(0, tokens[group], y * scale[group, None])
            start += count
        return out


class MixtureOfExperts(nn.Module):
    """In the place of an MLP: a router, experts, and perhaps one MLP that every token goes through (`shared`)."""

    def __init__(self, router, experts, shared=None):
        super().__init__()
        self.router, self.experts, self.shared = router, experts, shared

    def forward(self, x):
        """x: [B, N, d]. Returns [B, N, d]."""
        flat = x.reshape(-1, x.shape[-1])
        out = self.experts(flat, *self.router(flat)).view(x.shape)
        return out if self.shared is None else out + self.shared(x)


def expert_load(chosen, num_experts):
    """How many tokens each expert gets: counts [E] of chosen [T, k]."""
    return chosen.flatten().bincount(minlength=num_experts)


def expected_distinct(num_experts, top_k, num_tokens):
    """Experts that at least one of num_tokens tokens wakes, on average, where each picks top_k evenly and alone."""
    if not 1 <= top_k <= num_experts or num_tokens < 0:
        raise ValueError(f"no such choice: {top_k} of {num_experts} experts for {num_tokens} tokens")
    return num_experts * (1 - (1 - top_k / num_experts) ** num_tokens)


def split_mlp(mlp, num_experts):
    """Experts that together compute just what a SwiGLU does: its hidden channels in num_experts runs of equal length.

    The sum over all experts, each with weight 1, is the MLP. Raises ValueError when the channels do not divide.
    """
    num_channels, d = mlp.down.weight.shape
    if num_channels % num_experts:
        raise ValueError(f"{num_channels} channels cannot be split into {num_experts} experts")
    parts = [half.reshape(d, num_experts, -1).transpose(0, 1) for half in mlp.gate_up.weight.chunk(2, dim=1)]
    return Experts(torch.cat(parts, dim=2), mlp.down.weight.view(num_experts, -1, d))


class PartsRouter(Router):
    """The same choice with weight 1 for each: for experts that are the parts of one MLP."""

    def forward(self, x):
        """As Router.forward."""
        chosen, weights = super().forward(x)
        return chosen, torch.ones_like(weights)
