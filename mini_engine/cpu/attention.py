"""Attention of one token over keys and values that lie in blocks: the block table is walked, nothing is gathered.

A contiguous cache is one block as long as the whole sequence. Scores, softmax and the weighted sum go through the
positions 0, 1, 2, … and are never cut anywhere else, so neither the block size nor the other rows change a bit. All
query heads that share a KV head are computed together, so that each key and value is loaded once for three of them.
"""

import numpy as np

from mini_engine.cpu.compiler import kernel
from mini_engine.cpu.lanes import LANES, fma, fold, load, maximum, splat, store
from mini_engine.cpu.pointwise import WIDTH, exponential


@kernel
def score(q, first, keys, at, head_dim):
    """q · k of the query that starts at element `first` of q and the key that starts at element `at` of keys."""
    a = splat(np.float32(0), WIDTH)
    for i in range(0, head_dim, WIDTH):
        a = fma(load(q, first + i, WIDTH), load(keys, at + i, WIDTH), a)
    return fold(a, False)


@kernel
def three_scores(q, first, keys, at, head_dim):
    """As score, for three heads whose queries lie one after the other; they share each loaded piece of the key."""
    a = b = c = splat(np.float32(0), WIDTH)
    for i in range(0, head_dim, WIDTH):
        key = load(keys, at + i, WIDTH)
        a = fma(load(q, first + i, WIDTH), key, a)
        b = fma(load(q, first + head_dim + i, WIDTH), key, b)
        c = fma(load(q, first + 2 * head_dim + i, WIDTH), key, c)
    return fold(a, False), fold(b, False), fold(c, False)


@kernel
def all_scores(q, keys, layer, head, table, length, scores):
    """scores[g, j] = q_g · k_j / sqrt(D) for every position j < length. keys: [layers, blocks, H_kv, block_size, D]."""
    _, num_blocks, num_heads, block_size, head_dim = keys.shape
    scale = np.float32(1) / np.sqrt(np.float32(head_dim))
    threes = len(scores) - len(scores) % 3
    for start in range(0, length, block_size):
        block = (layer * num_blocks + table[start // block_size]) * num_heads + head
        for j in range(start, min(start + block_size, length)):
            at = (block * block_size + j - start) * head_dim
            for g in range(0, threes, 3):
                a, b, c = three_scores(q, g * head_dim, keys, at, head_dim)
                scores[g, j], scores[g + 1, j], scores[g + 2, j] = a * scale, b * scale, c * scale
            for g in range(threes, len(scores)):
                scores[g, j] = score(q, g * head_dim, keys, at, head_dim) * scale


@kernel
def softmax(scores, length):
    """Turn the first `length` scores into weights that add up to 1, in place; room for a whole vector behind them."""
    padded = -(-length // WIDTH) * WIDTH
    scores[length:padded] = np.float32(-1e30)
    largest = splat(np.float32(-1e30), WIDTH)
    for j in range(0, padded, WIDTH):
        largest = maximum(largest, load(scores, j, WIDTH))
    largest = splat(fold(largest, True), WIDTH)
    total = splat(np.float32(0), WIDTH)
    for j in range(0, padded, WIDTH):
        weight = exponential(load(scores, j, WIDTH) - largest)
        store(scores, j, weight)
        total = total + weight
    share = splat(np.float32(1) / fold(total, False), WIDTH)
    for j in range(0, padded, WIDTH):
        store(scores, j, load(scores, j, WIDTH) * share)


def weighted_sums_of(width):
    """The kernels that compute `width` neighbouring elements of the weighted sum of values: for one head, for three."""

    @kernel
    def one(weights, values, layer, head, table, length, first, out):
        _, num_blocks, num_heads, block_size, head_dim = values.shape
        a = splat(np.float32(0), width)
        for start in range(0, length, block_size):
            block = (layer * num_blocks + table[start // block_size]) * num_heads + head
            for j in range(start, min(start + block_size, length)):
                value = load(values, (block * block_size + j - start) * head_dim + first, width)
                a = fma(splat(weights[0, j], width), value, a)
        store(out, first, a)

    @kernel
    def three(weights, values, layer, head, table, length, first, out):
        _, num_blocks, num_heads, block_size, head_dim = values.shape
        a = b = c = splat(np.float32(0), width)
        for start in range(0, length, block_size):
            block = (layer * num_blocks + table[start // block_size]) * num_heads + head
            for j in range(start, min(start + block_size, length)):
                value = load(values, (block * block_size + j - start) * head_dim + first, width)
                a = fma(splat(weights[0, j], width), value, a)
                b = fma(splat(weights[1, j], width), value, b)
                c = fma(splat(weights[2, j], width), value, c)
        store(out, first, a)
        store(out, head_dim + first, b)
        store(out, 2 * head_dim + first, c)

    return one, three


wide_sum, three_wide_sums = weighted_sums_of(LANES)
narrow_sum, three_narrow_sums = weighted_sums_of(WIDTH)


@kernel
def attend(q, keys, values, layer, head, table, length, scores, out):
    """out = softmax(q · K / sqrt(D)) · V over the first `length` positions, for the query heads of one KV head.

    q, out: [G * D], the G heads one after the other. keys, values: [layers, blocks, H_kv, block_size, D]; head: the KV
    head; table: the sequence's blocks in order. scores: [G, room for `length` floats, rounded up to WIDTH].
    """
    all_scores(q, keys, layer, head, table, length, scores)
    head_dim, group = keys.shape[4], len(scores)
    wide, threes = head_dim - head_dim % LANES, group - group % 3
    for g in range(group):
        softmax(scores[g], length)
    for g in range(0, threes, 3):
        for i in range(0, wide, LANES):
            three_wide_sums(scores[g:], values, layer, head, table, length, i, out[g * head_dim :])
        for i in range(wide, head_dim, WIDTH):
            three_narrow_sums(scores[g:], values, layer, head, table, length, i, out[g * head_dim :])
    for g in range(threes, group):
        for i in range(0, wide, LANES):
            wide_sum(scores[g:], values, layer, head, table, length, i, out[g * head_dim :])
        for i in range(wide, head_dim, WIDTH):
            narrow_sum(scores[g:], values, layer, head, table, length, i, out[g * head_dim :])
