"""Several LoRA adapters over one model, in one batch: y = x W + (x A_i) B_i for the rows of adapter i.

LoRA: Hu et al. 2021 (2106.09685). Many adapters over one base that is computed once: S-LoRA (2311.03285).
"""

import json
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import nn

from mini_engine.files.safetensors import read_safetensors
from mini_engine.weights import LAYER_NAMES

# the engine's fused matrices, and peft's names of what lies in each, side by side
FUSED = {
    "attn.qkv": ("w_q", "w_k", "w_v"),
    "attn.out": ("w_o",),
    "mlp.gate_up": ("w_gate", "w_up"),
    "mlp.down": ("w_down",),
}
TARGETS = {LAYER_NAMES[name].split(".")[-1] for names in FUSED.values() for name in names}
# what peft can add to LoRA and this engine does not compute: any other value is rejected
PLAIN = {"bias": "none", "use_dora": False, "fan_in_fan_out": False, "modules_to_save": None, "rank_pattern": {}}
PLAIN |= {"alpha_pattern": {}}


@dataclass(frozen=True)
class Adapter:
    """One adapter. matrices: {(layer, name of the weight): (A [in, r], B [r, out])}, alpha / r multiplied into B."""

    rank: int
    matrices: dict

    @property
    def num_bytes(self):
        """Bytes of its matrices."""
        return sum(part.nbytes for pair in self.matrices.values() for part in pair)


def weight_shapes(config):
    """{weight's name: (in, out)} of a layer's matrices."""
    d, inner = config.hidden_size, config.intermediate_size
    q_out, kv_out = config.num_attention_heads * config.head_dim, config.num_key_value_heads * config.head_dim
    shapes = {"w_q": (d, q_out), "w_k": (d, kv_out), "w_v": (d, kv_out), "w_o": (q_out, d)}
    return shapes | {"w_gate": (d, inner), "w_up": (d, inner), "w_down": (inner, d)}


def load_adapter(folder, config):
    """The Adapter in a folder that peft's save_pretrained wrote, for a model of this config.

    Raises ValueError, naming the folder and what is wrong: a missing file, a kind of adapter or a target module that
    this engine does not compute, a rank or a shape that does not fit.
    """
    folder = Path(folder)
    for name in ("adapter_config.json", "adapter_model.safetensors"):
        if not (folder / name).is_file():
            raise ValueError(f"{folder} is no adapter: it has no {name}")
    try:
        fields = json.loads((folder / "adapter_config.json").read_text(encoding="utf-8"))
        rank, alpha, targets = fields["r"], fields["lora_alpha"], fields["target_modules"]
        scale = alpha / (rank**0.5 if fields.get("use_rslora") else rank)
    except (KeyError, TypeError, ValueError, ZeroDivisionError) as error:
        raise ValueError(f"{folder}/adapter_config.json does not describe a LoRA adapter: {error!r}") from None
    other = [name for name, plain in PLAIN.items() if fields.get(name, plain) not in (plain, None)]
    if fields.get("peft_type") != "LORA" or other:
        raise ValueError(f"{folder}: this engine computes plain LoRA, not {other or fields.get('peft_type')}")
    if isinstance(targets, list) and (unknown := sorted({name.split(".")[-1] for name in targets} - TARGETS)):
        raise ValueError(f"{folder} adapts {', '.join(unknown)}; this engine adapts {', '.join(sorted(TARGETS))}")
    tensors, _ = read_safetensors(folder / "adapter_model.safetensors")
    return Adapter(rank, _matrices(folder, tensors, config, rank, scale))


def _matrices(folder, tensors, config, rank, scale):
    """The matrices of an Adapter, from peft's tensors; every tensor must be one of them, and in the right shape."""
    found, shapes, left = {}, weight_shapes(config), set(tensors)
    for layer in range(config.num_hidden_layers):
        for name, (size_in, size_out) in shapes.items():
            stem = f"base_model.model.model.layers.{layer}.{LAYER_NAMES[name]}.lora_"
            wanted = {f"{stem}A.weight": (rank, size_in), f"{stem}B.weight": (size_out, rank)}
            if left.isdisjoint(wanted):
                continue
            for key, shape in wanted.items():
                if key not in tensors or tensors[key].shape != shape:
                    got = f"has shape {tensors[key].shape}" if key in tensors else "is missing"
                    raise ValueError(f"{folder}: {key} {got}; rank {rank} and this model need {shape}")
            a, b = (torch.from_numpy(tensors[key]).float().T.contiguous() for key in wanted)
            found[layer, name] = a, b * scale
            left -= set(wanted)
    if left or not found:
        raise ValueError(f"{folder}: this model has no place for {min(left) if left else 'an adapter without tensors'}")
    return found


class LoraLinear(nn.Module):
    """A base module, and for the rows of each adapter its low-rank term. adapters: {name: (A [in, r], B [r, out])}.

    rows: {adapter: its rows in the batch}, shared by all layers and written by LoraModel before a pass.
    """

    def __init__(self, base, adapters, rows):
        super().__init__()
        self.base, self.adapters, self.rows = base, adapters, rows

    def forward(self, x):
        """y [B, N, out] of x [B, N, in]: the base product once for all rows, the rest by adapter."""
        y = self.base(x)
        for name, rows in self.rows.items():
            if name in self.adapters:
                a, b = self.adapters[name]
                y[rows] += x[rows] @ a @ b
        return y


def _side_by_side(adapter, layer, names, shapes):
    """One pair (A, B) for matrices that lie side by side: their A in a row, their B on a diagonal. None: no matrix."""
    pairs = [adapter.matrices.get((layer, name)) for name in names]
    if not any(pairs):
        return None
    a = torch.cat([pair[0] for pair in pairs if pair], dim=1)
    blocks = [pair[1] if pair else torch.zeros(0, shapes[name][1]) for name, pair in zip(names, pairs, strict=True)]
    return a, torch.block_diag(*blocks)


class LoraModel:
    """A Llama on torch whose rows may each have an adapter: what Engine serves when requests name adapters.

    model: a Llama; its linear modules are replaced, quantized ones too. adapters: {name: Adapter}. A row without an
    adapter gets the model as it is. Raises ValueError for a model that is not made of torch's modules.
    """

    takes_ragged_rows = False

    def __init__(self, model, adapters):
        if not isinstance(model, nn.Module):
            raise ValueError("adapters need the model on torch: load it with compiled=False (--kernels torch)")
        self.model, self.adapters, self._rows = model, adapters, {}
        shapes = weight_shapes(model.config)
        for index, layer in enumerate(model.layers):
            for path, names in FUSED.items():
                pairs = {name: _side_by_side(each, index, names, shapes) for name, each in adapters.items()}
                there = {name: [p.to(model.device, model.dtype) for p in pair] for name, pair in pairs.items() if pair}
                owner, attribute = getattr(layer, path.split(".")[0]), path.split(".")[1]
                if there:
                    setattr(owner, attribute, LoraLinear(getattr(owner, attribute), there, self._rows))

    def __getattr__(self, name):
        return getattr(self.model, name)

    def hidden_states(self, token_ids, cache=None, adapters=None):
        """As Llama's. adapters: a name for each row, "" for none; the engine's cache knows them by its sequences."""
        if adapters is None:
            adapters = [seq.params.adapter for seq in getattr(cache, "sequences", ())] or [""] * len(token_ids)
        self._rows.clear()
        for name in sorted(set(adapters) - {""}):
            rows = [row for row, each in enumerate(adapters) if each == name]
            self._rows[name] = torch.tensor(rows, device=self.model.device)
        return self.model.hidden_states(token_ids, cache)

    def __call__(self, token_ids, cache=None, adapters=None):
        """Logits [B, N, V]; see hidden_states."""
        return self.model.lm_head(self.hidden_states(token_ids, cache, adapters))
