"""A dense model's MLPs cut into experts, with routers fitted to some text: what that costs."""

import torch

from mini_engine.beyond.experts import MixtureOfExperts, PartsRouter, split_mlp
from mini_engine.layers import Linear, SwiGLU


def output_norms(experts, x):
    """How much each expert would add: the length [T, E] of its output for x [T, d]."""
    return torch.stack([experts.one(e, x).norm(dim=-1) for e in range(len(experts.down))], dim=1)


def fit_router(x, norms, top_k, ridge=1.0):
    """PartsRouter whose scores are the least-squares guess of norms [T, E] from x [T, d]."""
    mean = x.mean(0)
    centred, target = (x - mean).double(), (norms - norms.mean(0)).double()
    gram = centred.T @ centred + ridge * torch.eye(x.shape[1], dtype=torch.float64)
    weight = torch.linalg.solve(gram, centred.T @ target).to(x.dtype)
    return PartsRouter(weight, top_k, norms.mean(0) - mean @ weight)


@torch.inference_mode()
def cut_model(model, num_experts, top_k, token_ids):
    """Replace each MLP of a Llama by num_experts experts, top_k of which serve each token; the same model comes back.

    token_ids: [B, N], text that the routers are fitted to, all layers in one pass of the whole model. With top_k equal
    to num_experts the model computes what it did. Raises ValueError when the channels do not divide, and for a model
    with other MLPs than SwiGLU of float weights; nothing is replaced then.
    """
    if not all(isinstance(layer.mlp, SwiGLU) and isinstance(layer.mlp.down, Linear) for layer in model.layers):
        raise ValueError("only dense float MLPs can be cut; of the real model: load(compiled=False)")
    parts = [split_mlp(layer.mlp, num_experts) for layer in model.layers]
    for layer, experts in zip(model.layers, parts, strict=True):
        layer.mlp = Fitting(experts, top_k)
    model.hidden_states(token_ids)
    for layer in model.layers:
        layer.mlp = layer.mlp.fitted
    return model


class Fitting(torch.nn.Module):
    """Stands in an MLP's place for one pass: answers with all experts and fits their router to what it sees."""

    def __init__(self, experts, top_k):
        super().__init__()
        self.experts, self.top_k, self.fitted = experts, top_k, None

    def forward(self, x):
        """x: [B, N, d]. Returns [B, N, d]."""
        flat = x.reshape(-1, x.shape[-1])
        router = fit_router(flat, output_norms(self.experts, flat), self.top_k)
        self.fitted = MixtureOfExperts(router, self.experts)
        return sum(self.experts.one(e, flat) for e in range(len(self.experts.down))).view(x.shape)


def set_top_k(model, top_k):
    """Let top_k experts serve each token from now on."""
    for layer in model.layers:
        layer.mlp.router.top_k = top_k
