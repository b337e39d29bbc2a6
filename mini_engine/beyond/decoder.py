"""A decoder from parts, and how a model of the transformers library becomes one."""

import torch
from torch import nn

from mini_engine.beyond.delta import DeltaConfig, GatedDelta, StateCache
from mini_engine.beyond.experts import Experts, MixtureOfExperts, Router
from mini_engine.beyond.latent import LatentAttention, LatentCache, LatentConfig
from mini_engine.beyond.window import SinkAttention, WindowCache
from mini_engine.beyond.yarn import yarn_tables
from mini_engine.config import ModelConfig
from mini_engine.layers import Attention, DecoderLayer, Linear, RMSNorm, SwiGLU
from mini_engine.model import Llama
from mini_engine.rope import rope_tables


class Decoder(Llama):
    """LLaMA's forward pass with other parts in it: hidden_states() and forward() are those of Llama.

    layers: modules called as DecoderLayer is. tables: (cos, sin). cache: a class called as KVCache is, or a function.
    """

    def __init__(self, config, embedding, layers, final_norm, lm_head, tables, cache=None):
        nn.Module.__init__(self)
        self.config, self.cache = config, cache
        self.dtype, self.device = embedding.dtype, embedding.device
        self.embedding = nn.Parameter(embedding, requires_grad=False)
        self.layers = nn.ModuleList(layers)
        self.final_norm, self.lm_head = final_norm, lm_head
        self.cos, self.sin = tables

    def new_cache(self, max_tokens, batch=1):
        """An empty cache of the kind that this model's layers write."""
        if self.cache is None:
            return super().new_cache(max_tokens, batch)
        where = {"dtype": self.dtype, "device": self.device}
        return self.cache(self.config, max_tokens, batch=batch, **where)


class BiasedLinear(Linear):
    """Linear with a bias [out], as gpt-oss has in its attention."""

    def __init__(self, weight, bias):
        super().__init__(weight)
        self.bias = nn.Parameter(bias, requires_grad=False)

    def forward(self, x):
        return super().forward(x) + self.bias


def linear(*modules, columns=None):
    """Linear of one or more of torch's, side by side; columns: outputs in another order."""
    weight = torch.cat([module.weight.detach() for module in modules]).T
    bias = None if modules[0].bias is None else torch.cat([module.bias.detach() for module in modules])
    weight = weight.contiguous() if columns is None else weight[:, columns].contiguous()
    return Linear(weight) if bias is None else BiasedLinear(weight, bias)


def norm(module, eps, offset=0):
    """RMSNorm with a module's weight; Qwen3-Next stores the weight less one."""
    return RMSNorm(module.weight.detach() + offset, eps)


def dense(mlp):
    """SwiGLU of a module with gate_proj, up_proj and down_proj."""
    return SwiGLU(linear(mlp.gate_proj, mlp.up_proj), linear(mlp.down_proj))


def shape(cls, config, **sizes):
    """Our config from theirs: the fields that both have, and `sizes`."""
    names = [name for name in cls.__dataclass_fields__ if name not in ("name", "rope_theta")]
    found = {name: getattr(config, name) for name in names if getattr(config, name, None) is not None}
    found.setdefault("head_dim", config.hidden_size // config.num_attention_heads)
    return cls(config.model_type, rope_theta=config.rope_parameters["rope_theta"], **found | sizes)


def tables_of(config):
    """RoPE's tables for our config and theirs, with YaRN where theirs asks for it."""
    ours, theirs = config
    rope = theirs.rope_parameters
    if rope["rope_type"] == "default":
        return rope_tables(ours.head_dim, ours.max_position_embeddings, ours.rope_theta)
    if rope["rope_type"] != "yarn":
        raise ValueError(f"no such rope_type here: {rope['rope_type']}")
    names = {"factor": "factor", "original": "original_max_position_embeddings"}
    names |= {name: name for name in ("beta_fast", "beta_slow", "truncate")}
    scaling = {mine: rope[name] for mine, name in names.items() if rope.get(name) is not None}
    return yarn_tables(ours.head_dim, ours.max_position_embeddings, ours.rope_theta, **scaling)


def attention_of(config, index, module):
    """The engine's attention, or the one with sinks where the module has them."""
    qkv, out = linear(module.q_proj, module.k_proj, module.v_proj), linear(module.o_proj)
    if hasattr(module, "sinks"):
        return SinkAttention(config, index, qkv, out, module.sinks.detach())
    return Attention(config, index, qkv, out)


def latent_of(config, index, module):
    """LatentAttention of a DeepseekV2Attention without a low-rank query. Its RoPE pairs neighbours, ours halves."""
    num_heads, rank, rope = config.num_attention_heads, config.kv_lora_rank, config.head_dim
    nope = config.qk_nope_head_dim
    halves = torch.cat((torch.arange(0, rope, 2), torch.arange(1, rope, 2)))
    head = torch.cat((torch.arange(nope), nope + halves))
    columns = (torch.arange(num_heads)[:, None] * (nope + rope) + head).flatten()
    up = module.kv_b_proj.weight.detach().view(num_heads, -1, rank).mT  # [H, rank, nope + v]
    down = linear(module.kv_a_proj_with_mqa, columns=torch.cat((torch.arange(rank), rank + halves)))
    parts = linear(module.q_proj, columns=columns), down, norm(module.kv_a_layernorm, 1e-6)
    return LatentAttention(config, index, *parts, up[..., :nope], up[..., nope:], linear(module.o_proj))


def delta_of(config, index, module):
    """GatedDelta of a Qwen3NextGatedDeltaNet, whose projections go key head by key head; ours are flat."""
    heads, d_k = config.linear_num_key_heads, config.linear_key_head_dim
    group = config.linear_num_value_heads // heads
    values = group * config.linear_value_head_dim
    q, k, v, z = torch.arange(heads * (2 * d_k + 2 * values)).view(heads, -1).split([d_k, d_k, values, values], 1)
    b, a = torch.arange(2 * heads * group).view(heads, 2, group).unbind(1)
    qkv = linear(module.in_proj_qkvz, columns=torch.cat([part.flatten() for part in (q, k, v)]))
    gates = linear(module.in_proj_ba, columns=torch.cat((b.flatten(), a.flatten())))
    z = linear(module.in_proj_qkvz, columns=z.flatten())
    rest = (part.detach() for part in (module.conv1d.weight, module.A_log, module.dt_bias))
    return GatedDelta(
        config, index, qkv, gates, z, *rest, norm(module.norm, config.rms_norm_eps), linear(module.out_proj)
    )


def experts_of(config, mlp):
    """MixtureOfExperts of a Mixtral block (stacks [E, out, in]) or of a gpt-oss one (stacks [E, in, out], biases)."""
    stacks = mlp.experts.gate_up_proj.detach(), mlp.experts.down_proj.detach()
    if config.model_type == "mixtral":
        router = Router(mlp.gate.weight.detach().T.contiguous(), config.num_experts_per_tok)
        return MixtureOfExperts(router, Experts(*(stack.mT.contiguous() for stack in stacks)))
    if config.model_type != "gpt_oss":
        raise ValueError(f"no such experts here: {config.model_type}")
    biases = mlp.experts.gate_up_proj_bias.detach(), mlp.experts.down_proj_bias.detach()
    router = Router(mlp.router.weight.detach().T.contiguous(), config.num_experts_per_tok, mlp.router.bias.detach())
    return MixtureOfExperts(router, Experts(*stacks, *biases, activation=mlp.experts._apply_gate))


KINDS = {
    "deepseek_v2": (LatentConfig, latent_of, LatentCache),
    "qwen3_next": (DeltaConfig, delta_of, StateCache),
}


def windows_of(config):
    """The window of each layer, None for all tokens; or None where no layer has one."""
    window = getattr(config, "sliding_window", None)
    if not window:
        return None
    kinds = getattr(config, "layer_types", None) or ["sliding_attention"] * config.num_hidden_layers
    return [window if kind == "sliding_attention" else None for kind in kinds]


def from_transformers(model):
    """A Decoder with the weights of a causal language model of the transformers library, in float32.

    Knows llama, mistral, mixtral, gpt_oss, deepseek_v2 without q_lora_rank and with dense MLPs, and qwen3_next with
    linear attention only and dense MLPs. Raises ValueError for another kind.
    """
    theirs, inner = model.config, model.model
    cls, mixer, cache = KINDS.get(theirs.model_type, (ModelConfig, attention_of, None))
    if theirs.model_type not in KINDS and theirs.model_type not in ("llama", "mistral", "mixtral", "gpt_oss"):
        raise ValueError(f"no such model here: {theirs.model_type}")
    config = shape(cls, theirs)
    offset, windows = int(theirs.model_type == "qwen3_next"), windows_of(theirs)
    if windows:
        cache = lambda config, max_tokens, **options: WindowCache(config, max_tokens, windows, **options)  # noqa: E731
    layers = []
    for index, layer in enumerate(inner.layers):
        mixing = mixer(config, index, getattr(layer, "linear_attn" if offset else "self_attn"))
        mlp = experts_of(theirs, layer.mlp) if hasattr(layer.mlp, "experts") else dense(layer.mlp)
        norms = [
            norm(part, theirs.rms_norm_eps, offset) for part in (layer.input_layernorm, layer.post_attention_layernorm)
        ]
        layers.append(DecoderLayer(norms[0], mixing, norms[1], mlp))
    final, embedding = norm(inner.norm, theirs.rms_norm_eps, offset), inner.embed_tokens.weight.detach()
    return Decoder(config, embedding, layers, final, linear(model.lm_head), tables_of((config, theirs)), cache)
