"""Attention of one query over keys and values that lie in blocks: the block table is walked, nothing is gathered.

A contiguous cache is one block as long as the whole sequence. Scores, softmax and the weighted sum go through the
positions 0, 1, 2, … and are never cut anywhere else, so neither the block size nor the other rows change a bit.
"""

import numpy as np

from mini_engine.cpu.compiler import kernel
from mini_engine.cpu.lanes import fma, fold, load, maximum, splat, store
from mini_engine.cpu.pointwise import WIDTH, exponential


@kernel
def score(q, keys, at, head_dim):
    """q · k / sqrt(D). q: [D]; the key starts at element `at` of keys."""
    total = splat(np.float32(0), WIDTH)
    for i in range(0, head_dim, WIDTH):
        total = fma(load(q, i, WIDTH), load(keys, at + i, WIDTH), total)
    return fold(total, False)


@kernel
def all_scores(q, keys, layer, head, table, length, scores):
    """scores[j] = q · k_j / sqrt(D) for every position j < length. keys: [layers, blocks, H_kv, block_size, D]."""
    _, num_blocks, num_heads, block_size, head_dim = keys.shape
    scale = np.float32(1) / np.sqrt(np.float32(head_dim))
    for start in range(0, length, block_size):
        block = (layer * num_blocks + table[start // block_size]) * num_heads + head
        for j in range(min(block_size, length - start)):
            at = (block * block_size + j) * head_dim
            scores[start + j] = score(q, keys, at, head_dim) * scale


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


def weighted_sum_of(width):
    """The kernel that computes `width` neighbouring elements of the weighted sum of values."""

    @kernel
    def weighted_sum(weights, values, layer, head, table, length, first, out):
        _, num_blocks, num_heads, block_size, head_dim = values.shape
        total = splat(np.float32(0), width)
        for start in range(0, length, block_size):
            block = (layer * num_blocks + table[start // block_size]) * num_heads + head
            for j in range(min(block_size, length - start)):
                at = (block * block_size + j) * head_dim + first
                total = fma(splat(weights[start + j], width), load(values, at, width), total)
        store(out, first, total)

    return weighted_sum


wide_sum, narrow_sum = weighted_sum_of(4 * WIDTH), weighted_sum_of(WIDTH)


@kernel
def attend(q, keys, values, layer, head, table, length, scores, out):
    """out [D] = softmax(q · K / sqrt(D)) · V over the first `length` positions of one sequence, for one query head.

    keys, values: [layers, blocks, H_kv, block_size, D]; head: the KV head; table: the sequence's blocks in order.
    scores: room for `length` floats, rounded up to WIDTH.
    """
    all_scores(q, keys, layer, head, table, length, scores)
    softmax(scores, length)
    head_dim = keys.shape[4]
    for first in range(0, head_dim - head_dim % (4 * WIDTH), 4 * WIDTH):
        wide_sum(scores, values, layer, head, table, length, first, out)
    for first in range(head_dim - head_dim % (4 * WIDTH), head_dim, WIDTH):
        narrow_sum(scores, values, layer, head, table, length, first, out)
