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
    d, mixed, qkv, inner = widths(config)
    if bad := [size for size in (d, mixed, inner) if size % 4]:
        raise ValueError(f"the WebGPU kernels take four weights at a time, and 4 does not divide {bad[0]}")
    rows = {"x": d, "h": d, "qkv": qkv, "mixed": mixed, "gate_up": 2 * inner, "inner": inner}
    buffers = {name: 4 * max_rows * width for name, width in rows.items()}
    buffers |= {"tokens": 4 * (max_tokens + 1), "position": 4, "logits": 4 * config.vocab_size}
    one_layer = 4 * max_tokens * config.num_key_value_heads * config.head_dim
    layers = [each_number("embedding", d, ["embedding", "tokens", "position", "x"], {"width": d})]
    for i in range(config.num_hidden_layers):
        buffers |= {f"keys.{i}": one_layer, f"values.{i}": one_layer}
        layers += layer(config, i)
    head = [
        norm(config, "final_norm"),
        product("head", d, config.vocab_size, "h", "logits"),
        Launch("argmax", {"width": config.vocab_size}, ["logits", "tokens", "position"], 1),
    ]
    return Plan(buffers, layers, head, weight_bytes(config))


def widths(config):
    """Numbers in a row of x, of all heads' results, of Q, K and V together, and inside the MLP."""
    mixed, kv = config.num_attention_heads * config.head_dim, config.num_key_value_heads * config.head_dim
    return config.hidden_size, mixed, mixed + 2 * kv, config.intermediate_size


def layer(config, i):
    """The launches of layer i. The sums that skip attention and the MLP are made by the products that `adds` marks."""
    d, mixed, qkv, inner = widths(config)
    keys, values, num_heads = f"keys.{i}", f"values.{i}", config.num_attention_heads
    heads = {"num_heads": num_heads, "num_kv_heads": config.num_key_value_heads, "head_dim": config.head_dim}
    return [
        norm(config, f"attn_norm.{i}"),
        product(f"qkv.{i}", d, qkv, "h", "qkv"),
        each_number("rope", qkv // 2, ["cos", "sin", "position", "qkv", keys, values], heads),
        Launch("attention", heads, ["qkv", keys, values, "position", "mixed"], num_heads),
        product(f"out.{i}", mixed, d, "mixed", "x", adds=True),
        norm(config, f"mlp_norm.{i}"),
        product(f"gate_up.{i}", d, 2 * inner, "h", "gate_up"),
        each_number("swiglu", inner, ["gate_up", "inner"], {"width": inner}),
        product(f"down.{i}", inner, d, "inner", "x", adds=True),
    ]


def each_number(kernel, num_threads, names, constants):
    """A kernel in which each thread has a number, or a pair, of its own."""
    return Launch(kernel, constants, names, -(-num_threads // THREADS))


def norm(config, weight):
    return Launch("rms_norm", {"width": config.hidden_size, "eps": config.rms_norm_eps}, ["x", weight, "h"], 1)


def product(matrix, num_in, num_out, x, y, adds=False):
    constants = {"num_in": num_in, "num_out": num_out, "adds": int(adds)}
    return Launch("product", constants, [f"{matrix}.q", f"{matrix}.scales", x, y], -(-num_out // OUTPUTS))


def weight_bytes(config):
    """Bytes of weights that one decode step reads: int8 matrices with their scales, norms, a row of the embedding."""
    d, mixed, qkv, inner = widths(config)
    shapes = [(d, qkv), (mixed, d), (d, 2 * inner), (inner, d)]
    each_layer = sum((num_in + 4) * num_out for num_in, num_out in shapes) + 8 * d
    return config.num_hidden_layers * each_layer + (d + 4) * config.vocab_size + 8 * d


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
    for i, w in enumerate(weights["layers"]):
        yield from plain(f"attn_norm.{i}", w["attn_norm"])
        yield from matrix(f"qkv.{i}", w["w_q"], w["w_k"], w["w_v"])
        yield from matrix(f"out.{i}", w["w_o"])
        yield from plain(f"mlp_norm.{i}", w["mlp_norm"])
        yield from matrix(f"gate_up.{i}", w["w_gate"], w["w_up"])
        yield from matrix(f"down.{i}", w["w_down"])
    yield from plain("final_norm", weights["final_norm"])
    yield from matrix("head", np.transpose(embedding) if config.tie_word_embeddings else weights["lm_head"])
    cos, sin = rope_tables(config.head_dim, max_tokens, config.rope_theta)
    yield from plain("cos", cos)
    yield from plain("sin", sin)
