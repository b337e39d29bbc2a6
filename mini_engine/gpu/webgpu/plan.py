"""A decode step as data, for Python and for the page: the weights, and which kernel runs when on which buffers."""

import re
from pathlib import Path
from typing import NamedTuple

import numpy as np

from mini_engine.quant.arrays import round_outputs
from mini_engine.rope import rope_tables

HERE = Path(__file__).parent
BINDING = re.compile(r"@binding\(\d+\) var<(storage, read_write|storage|uniform)")
KINDS = {"storage, read_write": "storage", "storage": "read-only-storage", "uniform": "uniform"}
# as in product.wgsl and in the kernels of one thread a number
OUTPUTS, THREADS = 8, 64


class Launch(NamedTuple):
    """One kernel of a step: its file, the values of its overrides, the buffers of its bindings in order, and how many
    workgroups a row takes."""

    kernel: str
    constants: dict
    buffers: list
    workgroups: int


class Plan(NamedTuple):
    """What a model does with its rows. buffers: {name: bytes} of all that is no weight; layers: the Launches that bring
    rows through all layers; head: those that make the next token of a single row; weight_bytes: read in such a step."""

    buffers: dict
    layers: list
    head: list
    weight_bytes: int


def wgsl(kernel):
    """The text of a kernel."""
    return (HERE / f"{kernel}.wgsl").read_text(encoding="utf-8")


def kinds(text):
    """The kinds of a kernel's bindings, in order, read from its declarations."""
    return tuple(KINDS[found] for found in BINDING.findall(text))


def make_plan(config, max_tokens, max_rows):
    """The Plan of a model for texts of at most max_tokens, read in passes of at most max_rows.

    Raises ValueError for a shape that the kernels do not know.
    """
    sizes = (config.hidden_size, config.num_attention_heads * config.head_dim, config.intermediate_size)
    if bad := [size for size in sizes if size % 4]:
        raise ValueError(f"the WebGPU kernels take four weights at a time, and 4 does not divide {bad[0]}")
    d, mixed, inner = sizes
    kv = config.num_key_value_heads * config.head_dim
    qkv = mixed + 2 * kv
    rows = {"x": d, "h": d, "qkv": qkv, "mixed": mixed, "gate_up": 2 * inner, "inner": inner}
    buffers = {name: 4 * max_rows * width for name, width in rows.items()}
    buffers |= {"tokens": 4 * (max_tokens + 1), "position": 4, "logits": 4 * config.vocab_size}
    buffers |= {
        f"{kind}.{i}": 4 * max_tokens * kv for i in range(config.num_hidden_layers) for kind in ("keys", "values")
    }
    heads = {"num_heads": config.num_attention_heads, "num_kv_heads": config.num_key_value_heads}
    heads["head_dim"] = config.head_dim

    def each(kernel, num_threads, names, constants):
        return Launch(kernel, constants, names, -(-num_threads // THREADS))

    def norm(weight):
        return Launch("rms_norm", {"width": d, "eps": config.rms_norm_eps}, ["x", weight, "h"], 1)

    def product(matrix, num_in, num_out, x, y, adds=False):
        constants = {"num_in": num_in, "num_out": num_out, "adds": int(adds)}
        return Launch("product", constants, [f"{matrix}.q", f"{matrix}.scales", x, y], -(-num_out // OUTPUTS))

    layers = [each("embedding", d, ["embedding", "tokens", "position", "x"], {"width": d})]
    for i in range(config.num_hidden_layers):
        keys, values = f"keys.{i}", f"values.{i}"
        layers += [
            norm(f"attn_norm.{i}"),
            product(f"qkv.{i}", d, qkv, "h", "qkv"),
            each("rope", qkv // 2, ["cos", "sin", "position", "qkv", keys, values], heads),
            Launch("attention", heads, ["qkv", keys, values, "position", "mixed"], config.num_attention_heads),
            product(f"out.{i}", mixed, d, "mixed", "x", adds=True),
            norm(f"mlp_norm.{i}"),
            product(f"gate_up.{i}", d, 2 * inner, "h", "gate_up"),
            each("swiglu", inner, ["gate_up", "inner"], {"width": inner}),
            product(f"down.{i}", inner, d, "inner", "x", adds=True),
        ]
    head = [norm("final_norm"), product("head", d, config.vocab_size, "h", "logits")]
    head.append(Launch("argmax", {"width": config.vocab_size}, ["logits", "tokens", "position"], 1))
    return Plan(buffers, layers, head, weight_bytes(config))


def weight_bytes(config):
    """Bytes of weights that one decode step reads: int8 matrices with their scales, norms, a row of the embedding."""
    d, inner = config.hidden_size, config.intermediate_size
    mixed, kv = config.num_attention_heads * config.head_dim, config.num_key_value_heads * config.head_dim
    shapes = [(d, mixed + 2 * kv), (mixed, d), (d, 2 * inner), (inner, d)]
    layer = sum((num_in + 4) * num_out for num_in, num_out in shapes) + 8 * d
    return config.num_hidden_layers * layer + (d + 4) * config.vocab_size + 8 * d


def tensors(config, weights, max_tokens):
    """(name, array) of everything that a Plan's launches read and no kernel writes, one by one.

    weights: the dict that mini_engine.weights loads. A matrix [in, out] becomes int8 [out, in] in "NAME.q", with
    float32 scales [out] in "NAME.scales", rounded as the CPU's int8; the rest stays float32.
    """

    def matrix(name, *parts):
        q, scales = round_outputs(np.concatenate(parts, axis=1))
        yield f"{name}.q", np.ascontiguousarray(q.T)
        yield f"{name}.scales", scales[0]

    def plain(name, array):
        yield name, np.asarray(array, np.float32)

    embedding = weights["embedding"]
    yield from plain("embedding", embedding)
    for i, layer in enumerate(weights["layers"]):
        yield from plain(f"attn_norm.{i}", layer["attn_norm"])
        yield from matrix(f"qkv.{i}", layer["w_q"], layer["w_k"], layer["w_v"])
        yield from matrix(f"out.{i}", layer["w_o"])
        yield from plain(f"mlp_norm.{i}", layer["mlp_norm"])
        yield from matrix(f"gate_up.{i}", layer["w_gate"], layer["w_up"])
        yield from matrix(f"down.{i}", layer["w_down"])
    yield from plain("final_norm", weights["final_norm"])
    yield from matrix("head", np.transpose(embedding) if config.tie_word_embeddings else weights["lm_head"])
    cos, sin = rope_tables(config.head_dim, max_tokens, config.rope_theta)
    yield from plain("cos", cos)
    yield from plain("sin", sin)
