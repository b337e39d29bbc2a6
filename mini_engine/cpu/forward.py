"""LLaMA's whole forward pass as one compiled function, with one parallel region for each product."""

from typing import NamedTuple

import numba
import numpy as np

from mini_engine.cpu.attention import attend
from mini_engine.cpu.compiler import entry, kernel
from mini_engine.cpu.pointwise import rms_norm, rope, swiglu
from mini_engine.cpu.products import product_part

FEW = 8  # rows up to which norms and activations are computed by one thread: waking the others takes longer


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
    """Memory of a pass. x, h, qkv, mixed, gate_up: float32 [rows, width]; scores, tiles: float32 [threads, size]."""

    x: np.ndarray
    h: np.ndarray
    qkv: np.ndarray
    mixed: np.ndarray
    gate_up: np.ndarray
    scores: np.ndarray
    tiles: np.ndarray


@kernel
def norm_part(x, weight, sizes, h, first, last):
    """h = RMSNorm(x) for rows first to last."""
    for r in range(first, last):
        rms_norm(x[r], weight, sizes.hidden_size, np.float32(sizes.eps), h[r])


@kernel
def cache_part(cos, sin, sizes, rows, layer, qkv, keys, values, first, last):
    """RoPE for the queries and keys of rows first to last, and their keys and values into the cache."""
    block_size, head_dim = keys.shape[3], sizes.head_dim
    for r in range(first, last):
        position = rows.positions[r]
        rope(qkv[r], sizes.num_heads + sizes.num_kv_heads, head_dim, cos[position], sin[position])
        block, slot = rows.tables[rows.owners[r], position // block_size], position % block_size
        for head in range(sizes.num_kv_heads):
            at_k = (sizes.num_heads + head) * head_dim
            at_v = at_k + sizes.num_kv_heads * head_dim
            for i in range(head_dim):
                keys[layer, block, head, slot, i] = qkv[r, at_k + i]
                values[layer, block, head, slot, i] = qkv[r, at_v + i]


@kernel
def attention_part(sizes, rows, layer, qkv, keys, values, scores, mixed, first, last):
    """Attention of the (row, head) pairs first to last, counted row by row."""
    group, head_dim = sizes.num_heads // sizes.num_kv_heads, sizes.head_dim
    for item in range(first, last):
        r, head = item // sizes.num_heads, item % sizes.num_heads
        q = qkv[r, head * head_dim : (head + 1) * head_dim]
        out = mixed[r, head * head_dim : (head + 1) * head_dim]
        table, length = rows.tables[rows.owners[r]], rows.positions[r] + 1
        attend(q, keys, values, layer, head // group, table, length, scores, out)


@kernel
def swiglu_part(gate_up, first, last):
    """silu(gate) * up for rows first to last, written where gate was."""
    for r in range(first, last):
        swiglu(gate_up[r], gate_up[r])


@kernel
def is_little(rows):
    """Whether one thread does the work between the products as fast: waking the others takes some microseconds."""
    return len(rows.positions) <= FEW, rows.positions.sum() + len(rows.positions) <= 256


@entry
def forward(
    embedding,
    attn_norm,
    w_qkv,
    w_out,
    mlp_norm,
    w_gate_up,
    w_down,
    final_norm,
    cos,
    sin,
    sizes,
    rows,
    keys,
    values,
    scratch,
    num_parts,
):
    """Run the rows through all layers; their keys and values go into the cache, scratch.h gets the normed result.

    The first ten are the fields of Weights: Numba takes a tuple into a parallel loop only where it is an argument.
    keys, values: float32 [layers, blocks, H_kv, block_size, D]. num_parts: threads that share each piece of work.
    """
    num_rows, d = len(rows.token_ids), sizes.hidden_size
    x, h, qkv, mixed, gate_up, scores, tiles = scratch
    few, short = is_little(rows)
    row_parts, item_parts = 1 if few else num_parts, 1 if short else num_parts
    num_items = num_rows * sizes.num_heads
    for r in range(num_rows):
        x[r, :d] = embedding[rows.token_ids[r]]
    for layer in range(len(attn_norm)):
        for t in numba.prange(row_parts):
            norm_part(x, attn_norm[layer], sizes, h, t * num_rows // row_parts, (t + 1) * num_rows // row_parts)
        for t in numba.prange(num_parts):
            product_part(w_qkv, layer, h, d, qkv, False, tiles[t], t, num_parts)
        for t in numba.prange(row_parts):
            first, last = t * num_rows // row_parts, (t + 1) * num_rows // row_parts
            cache_part(cos, sin, sizes, rows, layer, qkv, keys, values, first, last)
        for t in numba.prange(item_parts):
            first, last = t * num_items // item_parts, (t + 1) * num_items // item_parts
            attention_part(sizes, rows, layer, qkv, keys, values, scores[t], mixed, first, last)
        for t in numba.prange(num_parts):
            product_part(w_out, layer, mixed, mixed.shape[1], x, True, tiles[t], t, num_parts)
        for t in numba.prange(row_parts):
            norm_part(x, mlp_norm[layer], sizes, h, t * num_rows // row_parts, (t + 1) * num_rows // row_parts)
        for t in numba.prange(num_parts):
            product_part(w_gate_up, layer, h, d, gate_up, False, tiles[t], t, num_parts)
        for t in numba.prange(row_parts):
            swiglu_part(gate_up, t * num_rows // row_parts, (t + 1) * num_rows // row_parts)
        for t in numba.prange(num_parts):
            product_part(w_down, layer, gate_up, sizes.intermediate_size, x, True, tiles[t], t, num_parts)
    for t in numba.prange(row_parts):
        norm_part(x, final_norm, sizes, h, t * num_rows // row_parts, (t + 1) * num_rows // row_parts)


@entry
def product(matrix, x, num_in, y, tiles, num_parts):
    """y = x @ matrix (its first layer). x: [rows, at least in]; y: [rows, out, padded]; tiles: as in Scratch."""
    for t in numba.prange(num_parts):
        product_part(matrix, 0, x, num_in, y, False, tiles[t], t, num_parts)
