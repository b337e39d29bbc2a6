"""Weights as a dict of NumPy arrays (CONTRIBUTING, "Code"): the shipped checkpoint, the real model, your own files.

Every loader returns (config, weights): `embedding` [vocab, d], `final_norm` [d], `lm_head` [d, vocab] unless tied,
and `layers`, a list of dicts whose matrices are [in, out].
"""

import json
import sys
from pathlib import Path

import numpy as np
from tqdm import tqdm

from mini_engine.config import SMOLLM2_135M, TINY, ModelConfig
from mini_engine.files.fetch import GGUF_SHA256, ModelUnavailable, cache_folder, fetch_gguf, gguf_path
from mini_engine.files.gguf import load_gguf
from mini_engine.files.safetensors import read_safetensors, write_safetensors

__all__ = [
    "ModelUnavailable",
    "load_gguf",
    "load_safetensors",
    "load_smollm2",
    "load_smollm2_expected",
    "load_tiny",
    "load_tiny_expected",
    "load_weights",
    "smollm2_is_cached",
]

DATA = Path(__file__).parent / "data"
SMOLLM2_EXPECTED = DATA / "smollm2_expected.json"  # by tools/record_oracle.py
CACHE_VERSION = 1  # raise it when what load_smollm2 writes changes

# ours -> the names of transformers' LlamaForCausalLM; theirs are [out, in]
LAYER_NAMES = {
    "attn_norm": "input_layernorm",
    "w_q": "self_attn.q_proj",
    "w_k": "self_attn.k_proj",
    "w_v": "self_attn.v_proj",
    "w_o": "self_attn.o_proj",
    "mlp_norm": "post_attention_layernorm",
    "w_gate": "mlp.gate_proj",
    "w_up": "mlp.up_proj",
    "w_down": "mlp.down_proj",
}


def flatten(weights):
    """The weights dict as one flat dict: `layers[3]["w_q"]` becomes `layers.3.w_q`."""
    flat = {name: value for name, value in weights.items() if name != "layers"}
    for i, layer in enumerate(weights["layers"]):
        flat.update({f"layers.{i}.{name}": value for name, value in layer.items()})
    return flat


def unflatten(flat):
    """The inverse of flatten."""
    weights, layers = {}, {}
    for name, value in flat.items():
        if name.startswith("layers."):
            _, index, part = name.split(".")
            layers.setdefault(int(index), {})[part] = value
        else:
            weights[name] = value
    return weights | {"layers": [layers[i] for i in range(len(layers))]}


def load_tiny():
    """The shipped 2-layer checkpoint: float32, random with a fixed seed (data/README.md)."""
    with np.load(DATA / "tiny.npz") as file:
        return TINY, unflatten(dict(file))


def load_tiny_expected():
    """What transformers computes on load_tiny(): a list of dicts with ids [N], logits [N, V], greedy [32]."""
    with np.load(DATA / "tiny_expected.npz") as file:
        count = sum(name.startswith("ids_") for name in file)
        return [{key: file[f"{key}_{i}"] for key in ("ids", "logits", "greedy")} for i in range(count)]


def load_smollm2_expected():
    """What transformers computes with the real model: dicts with text, ids, top_ids, top_logits and 32 greedy ids."""
    return json.loads(SMOLLM2_EXPECTED.read_text())["cases"]


def smollm2_cache_path():
    """Where the dequantized weights lie, or will lie; the name carries the checksum of what they come from."""
    return cache_folder() / f"smollm2-135m-instruct-{GGUF_SHA256[:12]}-float32-v{CACHE_VERSION}.safetensors"


def smollm2_is_cached():
    """True where load_smollm2() needs no network."""
    return smollm2_cache_path().exists() or gguf_path().exists()


def load_smollm2():
    """SmolLM2-135M-Instruct, dequantized to float32, memory-mapped from the user's cache folder.

    The first call fetches the model file (93 MB) and writes the dequantized weights (538 MB) beside it, with a bar;
    later calls map that file. It is written again when it is damaged or was made from another model file.
    Raises ModelUnavailable, with one clear line, where the model is not cached and cannot be had.
    """
    path = smollm2_cache_path()
    if path.exists():
        try:
            flat, metadata = read_safetensors(path)
            if metadata.get("gguf_sha256") == GGUF_SHA256:
                return SMOLLM2_135M, unflatten(flat)
        except ValueError as error:
            print(f"{error}: writing it again", file=sys.stderr)
    source = fetch_gguf()
    _, weights = load_gguf(source, progress=lambda layers: tqdm(layers, desc="dequantizing", leave=False))
    try:
        write_safetensors(path, flatten(weights), {"gguf_sha256": GGUF_SHA256})
    except OSError as error:
        print(f"cannot keep the dequantized weights, so the next start is as slow: {error}", file=sys.stderr)
        return SMOLLM2_135M, weights
    return SMOLLM2_135M, unflatten(read_safetensors(path)[0])


def config_from_json(folder):
    """The ModelConfig that a checkpoint folder's config.json describes.

    Raises ValueError for what this engine does not compute: another architecture or activation, biases, scaled RoPE.
    """
    path = Path(folder) / "config.json"
    try:
        fields = json.loads(path.read_text())
        rope = fields.get("rope_scaling") or fields.get("rope_parameters") or {}
        heads = fields["num_attention_heads"]
        config = ModelConfig(
            name=Path(folder).resolve().name,
            num_hidden_layers=fields["num_hidden_layers"],
            hidden_size=fields["hidden_size"],
            num_attention_heads=heads,
            num_key_value_heads=fields.get("num_key_value_heads") or heads,
            intermediate_size=fields["intermediate_size"],
            vocab_size=fields["vocab_size"],
            head_dim=fields.get("head_dim") or fields["hidden_size"] // heads,
            rope_theta=fields.get("rope_theta") or rope.get("rope_theta", 10000.0),
            max_position_embeddings=fields["max_position_embeddings"],
            tie_word_embeddings=fields.get("tie_word_embeddings", False),
            rms_norm_eps=fields.get("rms_norm_eps", 1e-6),
        )
    except (KeyError, TypeError, AttributeError, ValueError) as error:
        raise ValueError(f"{path} does not describe a LLaMA model: {error}") from None
    rejected = {
        "model_type": fields.get("model_type", "llama") != "llama",
        "hidden_act": fields.get("hidden_act", "silu") != "silu",
        "attention_bias": fields.get("attention_bias", False),
        "mlp_bias": fields.get("mlp_bias", False),
        "rope_scaling": rope.get("rope_type", rope.get("type", "default")) != "default",
    }
    if unsupported := [name for name, bad in rejected.items() if bad]:
        raise ValueError(f"{path}: this engine cannot run a model with its {', '.join(unsupported)}")
    return config


def load_safetensors(folder):
    """A LLaMA checkpoint in Hugging Face's layout (config.json, *.safetensors), in full precision: (config, weights).

    float32 weights are views of the memory-mapped files, bfloat16 ones float32 copies. This is the way to weights
    that no one has quantized yet. Raises ValueError naming what is missing or not supported.
    """
    config, tensors = config_from_json(folder), {}
    for path in sorted(Path(folder).glob("*.safetensors")):
        tensors |= read_safetensors(path)[0]

    def take(name):
        if name not in tensors:
            raise ValueError(f"{folder}: no tensor {name} in its *.safetensors files")
        return tensors[name].astype(np.float32, copy=False).T

    weights = {"embedding": take("model.embed_tokens.weight").T, "final_norm": take("model.norm.weight")}
    weights["layers"] = [
        {ours: take(f"model.layers.{i}.{theirs}.weight") for ours, theirs in LAYER_NAMES.items()}
        for i in range(config.num_hidden_layers)
    ]
    if not config.tie_word_embeddings:
        weights["lm_head"] = take("lm_head.weight")
    check_shapes(config, weights)
    return config, weights


def check_shapes(config, weights):
    """Raise ValueError where a weight has not the shape that the config needs."""
    d, inner = config.hidden_size, config.intermediate_size
    q_out, kv_out = config.num_attention_heads * config.head_dim, config.num_key_value_heads * config.head_dim
    layer = {"attn_norm": (d,), "w_q": (d, q_out), "w_k": (d, kv_out), "w_v": (d, kv_out), "w_o": (q_out, d)}
    layer |= {"mlp_norm": (d,), "w_gate": (d, inner), "w_up": (d, inner), "w_down": (inner, d)}
    expected = {"embedding": (config.vocab_size, d), "final_norm": (d,), "lm_head": (d, config.vocab_size)}
    for name, array in flatten(weights).items():
        wanted = layer[name.split(".")[2]] if name.startswith("layers.") else expected[name]
        if array.shape != wanted:
            raise ValueError(f"{name} has shape {array.shape}, the config needs {wanted}")


def load_weights(path):
    """(config, weights) from a folder in Hugging Face's layout or from a GGUF file."""
    path = Path(path)
    if path.is_dir():
        return load_safetensors(path)
    config, weights = load_gguf(path, progress=lambda layers: tqdm(layers, desc="dequantizing", leave=False))
    check_shapes(config, weights)
    return config, weights
