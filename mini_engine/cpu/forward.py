"""LLaMA's whole forward pass as one compiled function, with one parallel region for each product."""

from typing import NamedTuple

import numba
import numpy as np

from mini_engine.cpu.attention import attend
from mini_engine.cpu.blocks import write_vector
from mini_engine.cpu.compiler import entry, kernel, parallel
from mini_engine.cpu.lanes import LANES
from mini_engine.cpu.pointwise import rms_norm, rope, swiglu
from mini_engine.cpu.products import MANY, product_part

# work that one thread does alone, since waking the others takes some microseconds: multiplications, and floats
FEW_PRODUCTS, FEW_FLOATS = 1 << 17, 1 << 14


class Weights(NamedTuple):
    """A model's weights. Norms are [layers, d], padded with zeros; matrices as in matrices.py, all layers in one."""

    embedding: np.ndarray
    attn_norm: np.ndarray
    qkv: tuple
    out: tuple
    mlp_norm: np.ndarray
    gate_up: tuple
    down: tuple
    final_norm: np.ndarray
    cos: np.ndarray
    sin: np.ndarray


class Sizes(NamedTuple):
    """What the arrays' shapes do not say."""

    hidden_size: int
    intermediate_size: int
    num_heads: int
    num_kv_heads: int
    head_dim: int
    eps: float


class Rows(NamedTuple):
    """The tokens of a pass, each a row of its own. Row r stands at positions[r] of the sequence owners[r].

    token_ids, positions, owners: int64 [rows]; tables: int64 [sequences, blocks], the blocks of each sequence.
    """

    token_ids: np.ndarray
    positions: np.ndarray
    owners: np.ndarray
    tables: np.ndarray


class Scratch(NamedTuple):
    """Memory of a pass, float32. x, h, qkv, mixed, gate_up: [rows, width]; scores: [threads, heads that share a KV
    head, positions]; tiles: [threads, size].
    """

    x: np.ndarray
    h: np.ndarray
    qkv: np.ndarray
    mixed: np.ndarray
    gate_up: np.ndarray
    scores: np.ndarray
    tiles: np.ndarray


@parallel
def product(matrix, layer, x, num_in, y, add, tiles, num_parts):
    """y = x @ matrix[layer], or y += where add is set: each thread takes a run of tiles, so of outputs.

    Tiles that are left over when all have the same number go by rows, where rows are many.
    """
    num_tiles = y.shape[1] // LANES
    if len(x) * num_in * y.shape[1] <= FEW_PRODUCTS:
        product_part(matrix, layer, x, num_in, y, add, tiles[0], 0, num_tiles)
        return
    even = num_tiles - (num_tiles % num_parts if len(x) >= num_parts * MANY else 0)
    for part in numba.prange(num_parts):
        first, last = part * even // num_parts, (part + 1) * even // num_parts
        product_part(matrix, layer, x, num_in, y, add, tiles[part], first, last)
        first, last = part * len(x) // num_parts, (part + 1) * len(x) // num_parts
        product_part(matrix, layer, x[first:last], num_in, y[first:last], add, tiles[part], even, num_tiles)


@parallel
def norm(x, weight, sizes, h, num_parts):
    """h = RMSNorm(x), each row for itself."""
    if x.size <= FEW_FLOATS:
        norm_part(x, weight, sizes, h, 0, 1)
    else:
        for part in numba.prange(num_parts):
            norm_part(x, weight, sizes, h, part, num_parts)


@kernel
def norm_part(x, weight, sizes, h, part, num_parts):
    """One thread's share of norm, a run of rows."""
    for r in range(part * len(x) // num_parts, (part + 1) * len(x) // num_parts):
        rms_norm(x[r], weight, sizes.hidden_size, np.float32(sizes.eps), h[r])


@parallel
def activate(gate_up, num_parts):
    """silu(gate) * up, written where gate was."""
    if gate_up.size <= FEW_FLOATS:
        activate_part(gate_up, 0, 1)
    else:
        for part in numba.prange(num_parts):
            activate_part(gate_up, part, num_parts)


@kernel
def activate_part(gate_up, part, num_parts):
    """One thread's share of activate, a run of rows."""
    for r in range(part * len(gate_up) // num_parts, (part + 1) * len(gate_up) // num_parts):
        swiglu(gate_up[r], gate_up[r])


@parallel
def write_cache(cos, sin, sizes, rows, layer, qkv, keys, values, num_parts):
    """RoPE for each row's queries and keys, and its keys and values into the cache."""
    if qkv.size <= FEW_FLOATS:
        write_cache_part(cos, sin, sizes, rows, layer, qkv, keys, values, 0, 1)
    else:
        for part in numba.prange(num_parts):
            write_cache_part(cos, sin, sizes, rows, layer, qkv, keys, values, part, num_parts)


@kernel
def write_cache_part(cos, sin, sizes, rows, layer, qkv, keys, values, part, num_parts):
    """One thread's share of write_cache, a run of rows."""
    _, num_blocks, _, block_size, size = keys.shape
    head_dim, flat_keys, flat_values = sizes.head_dim, keys.reshape(-1), values.reshape(-1)
    for r in range(part * len(qkv) // num_parts, (part + 1) * len(qkv) // num_parts):
        position = rows.positions[r]
        rope(qkv[r], sizes.num_heads + sizes.num_kv_heads, head_dim, cos[position], sin[position])
        block, slot = rows.tables[rows.owners[r], position // block_size], position % block_size
        for head in range(sizes.num_kv_heads):
            at_k = (sizes.num_heads + head) * head_dim
            at_v = at_k + sizes.num_kv_heads * head_dim
            at = (((layer * num_blocks + block) * sizes.num_kv_heads + head) * block_size + slot) * size
            write_vector(flat_keys, at, qkv[r], at_k, head_dim)
            write_vector(flat_values, at, qkv[r], at_v, head_dim)


@parallel
def attention(sizes, rows, layer, qkv, keys, values, scores, mixed, num_parts):
    """Attention of every row and head."""
    if (rows.positions.sum() + len(qkv)) * mixed.shape[1] <= FEW_PRODUCTS:
        attention_part(sizes, rows, layer, qkv, keys, values, scores[0], mixed, 0, 1)
    else:
        for part in numba.prange(num_parts):
            attention_part(sizes, rows, layer, qkv, keys, values, scores[part], mixed, part, num_parts)


@kernel
def attention_part(sizes, rows, layer, qkv, keys, values, scores, mixed, part, num_parts):
    """One thread's share of attention: (row, KV head) pairs in turn, as a prompt's later rows have more to read."""
    width = sizes.num_heads // sizes.num_kv_heads * sizes.head_dim  # of the query heads that share a KV head
    for item in range(part, len(qkv) * sizes.num_kv_heads, num_parts):
        r, head = item // sizes.num_kv_heads, item % sizes.num_kv_heads
        q, out = qkv[r, head * width : (head + 1) * width], mixed[r, head * width : (head + 1) * width]
        table, length = rows.tables[rows.owners[r]], rows.positions[r] + 1
        attend(q, keys, values, layer, head, table, length, scores, out)


@entry
def forward(weights, sizes, rows, keys, values, scratch, num_parts):
    """Run the rows through all layers; their keys and values go into the cache, scratch.h gets the normed result.

    keys, values: as in attention.attend. num_parts: threads that share each piece of work.
    """
    d = sizes.hidden_size
    x, h, qkv, mixed, gate_up, scores, tiles = scratch
    for r in range(len(x)):
        x[r, :d] = weights.embedding[rows.token_ids[r]]
    for layer in range(len(weights.attn_norm)):
        norm(x, weights.attn_norm[layer], sizes, h, num_parts)
        product(weights.qkv, layer, h, d, qkv, False, tiles, num_parts)
        write_cache(weights.cos, weights.sin, sizes, rows, layer, qkv, keys, values, num_parts)
        attention(sizes, rows, layer, qkv, keys, values, scores, mixed, num_parts)
        product(weights.out, layer, mixed, mixed.shape[1], x, True, tiles, num_parts)
        norm(x, weights.mlp_norm[layer], sizes, h, num_parts)
        product(weights.gate_up, layer, h, d, gate_up, False, tiles, num_parts)
        activate(gate_up, num_parts)
        product(weights.down, layer, gate_up, sizes.intermediate_size, x, True, tiles, num_parts)
    norm(x, weights.final_norm, sizes, h, num_parts)


@entry
def head_product(matrix, x, y, tiles, num_parts):
    """y = x @ matrix (one layer). x: float32 [rows, in]; y: [rows, out, padded]; tiles: as in Scratch."""
    product(matrix, 0, x, x.shape[1], y, False, tiles, num_parts)
