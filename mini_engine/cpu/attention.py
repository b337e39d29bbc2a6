"""Attention of one token over keys and values that lie in blocks: the block table is walked, nothing is gathered.

A contiguous cache is one block as long as the whole sequence. Scores, softmax and the weighted sum go through the
positions 0, 1, 2, … and are never cut anywhere else, so neither the block size nor the other rows change a bit. All
query heads that share a KV head are computed together, so that each key and value is loaded once for three of them.
"""

import numpy as np
from numba import types
from numba.extending import overload

from mini_engine.cpu.blocks import BLOCK, piece
from mini_engine.cpu.compiler import kernel
from mini_engine.cpu.lanes import LANES, fma, fold, fold_four, load, maximum, prefetch, splat, store
from mini_engine.cpu.pointwise import WIDTH, exponential


def scores_of(width):
    """The kernels that compute q · k by `width` elements at a time: of a head and a key, of a head and four keys."""

    @kernel
    def one(q, first, keys, at, head_dim):
        """Of the query that starts at element `first` of q and the key that starts at element `at` of keys."""
        a = splat(np.float32(0), width)
        for i in range(0, head_dim, width):
            a = fma(load(q, first + i, width), piece(keys, at, i, width), a)
        return fold(a, False)

    @kernel
    def four(q, first, keys, at, size, head_dim):
        """For four neighbouring keys, `size` elements apart, a vector of four; they share each loaded piece of q."""
        a = b = c = d = splat(np.float32(0), width)
        for i in range(0, head_dim, width):
            query = load(q, first + i, width)
            a = fma(query, piece(keys, at, i, width), a)
            b = fma(query, piece(keys, at + size, i, width), b)
            c = fma(query, piece(keys, at + 2 * size, i, width), c)
            d = fma(query, piece(keys, at + 3 * size, i, width), d)
        return fold_four(a, b, c, d)

    return one, four


def twelve_scores_of(width):
    """The kernel for three heads and four keys."""

    @kernel
    def twelve(q, first, keys, at, size, head_dim, next_at):
        """Of three queries that lie one after the other and four neighbouring keys: twelve sums for seven loads.

        next_at: the element of keys that is needed a block later. It is asked for now: a block of 16 keys is a page of
        memory, and at a page's end the processor stops to read ahead by itself.
        """
        a = b = c = d = e = f = g = h = k = m = n = o = splat(np.float32(0), width)
        for i in range(0, head_dim, width):
            x, y = load(q, first + i, width), load(q, first + head_dim + i, width)
            z, key = load(q, first + 2 * head_dim + i, width), piece(keys, at, i, width)
            a, b, c = fma(x, key, a), fma(y, key, b), fma(z, key, c)
            for slot in range(4):
                prefetch(keys, next_at + slot * size + i, width, 0)
            key = piece(keys, at + size, i, width)
            d, e, f = fma(x, key, d), fma(y, key, e), fma(z, key, f)
            key = piece(keys, at + 2 * size, i, width)
            g, h, k = fma(x, key, g), fma(y, key, h), fma(z, key, k)
            key = piece(keys, at + 3 * size, i, width)
            m, n, o = fma(x, key, m), fma(y, key, n), fma(z, key, o)
        return fold_four(a, d, g, m), fold_four(b, e, h, n), fold_four(c, f, k, o)

    return twelve


def all_scores_of(width):
    """The kernel that computes all scores of the query heads of one KV head."""
    (one, four), twelve = scores_of(width), twelve_scores_of(width)

    @kernel
    def all_scores(q, keys, layer, head, table, length, scores):
        """scores[g, j] = q_g · k_j / sqrt(D) for every position j < length; keys as in attend."""
        _, num_blocks, num_heads, block_size, size = keys.shape
        head_dim, threes = len(q) // len(scores), len(scores) - len(scores) % 3
        scale = np.float32(1) / np.sqrt(np.float32(head_dim))
        scale_4 = splat(scale, 4)
        for start in range(0, length, block_size):
            block = (layer * num_blocks + table[start // block_size]) * num_heads + head
            end = min(start + block_size, length)
            next_block = table[min(start + block_size, length - 1) // block_size]
            next_at = ((layer * num_blocks + next_block) * num_heads + head) * block_size * size
            fours = end - (end - start) % 4
            for j in range(start, fours, 4):
                at = (block * block_size + j - start) * size
                for g in range(0, threes, 3):
                    a, b, c = twelve(q, g * head_dim, keys, at, size, head_dim, next_at + (j - start) * size)
                    store(scores[g], j, a * scale_4)
                    store(scores[g + 1], j, b * scale_4)
                    store(scores[g + 2], j, c * scale_4)
                for g in range(threes, len(scores)):
                    store(scores[g], j, four(q, g * head_dim, keys, at, size, head_dim) * scale_4)
            for j in range(fours, end):
                at = (block * block_size + j - start) * size
                for g in range(len(scores)):
                    scores[g, j] = one(q, g * head_dim, keys, at, head_dim) * scale

    return all_scores


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
    def one(weights, values, layer, head, table, length, first, out, head_dim):
        _, num_blocks, num_heads, block_size, size = values.shape
        a = splat(np.float32(0), width)
        for start in range(0, length, block_size):
            block = (layer * num_blocks + table[start // block_size]) * num_heads + head
            for j in range(start, min(start + block_size, length)):
                value = piece(values, (block * block_size + j - start) * size, first, width)
                a = fma(splat(weights[0, j], width), value, a)
        store(out, first, a)

    @kernel
    def three(weights, values, layer, head, table, length, first, out, head_dim):
        _, num_blocks, num_heads, block_size, size = values.shape
        a = b = c = splat(np.float32(0), width)
        for start in range(0, length, block_size):
            block = (layer * num_blocks + table[start // block_size]) * num_heads + head
            for j in range(start, min(start + block_size, length)):
                value = piece(values, (block * block_size + j - start) * size, first, width)
                a = fma(splat(weights[0, j], width), value, a)
                b = fma(splat(weights[1, j], width), value, b)
                c = fma(splat(weights[2, j], width), value, c)
        store(out, first, a)
        store(out, head_dim + first, b)
        store(out, 2 * head_dim + first, c)

    return one, three


def attention_of(score_width, sum_width, rest_width):
    """The kernel attend: scores by score_width elements at a time, sums of values by sum_width and what that leaves."""
    all_scores = all_scores_of(score_width)
    wide_sum, three_wide_sums = weighted_sums_of(sum_width)
    narrow_sum, three_narrow_sums = weighted_sums_of(rest_width)

    @kernel
    def attend(q, keys, values, layer, head, table, length, scores, out):
        all_scores(q, keys, layer, head, table, length, scores)
        group = len(scores)
        head_dim = len(q) // group
        wide, threes = head_dim - head_dim % sum_width, group - group % 3
        for g in range(group):
            softmax(scores[g], length)
        for g in range(0, threes, 3):
            for i in range(0, wide, sum_width):
                three_wide_sums(scores[g:], values, layer, head, table, length, i, out[g * head_dim :], head_dim)
            for i in range(wide, head_dim, rest_width):
                three_narrow_sums(scores[g:], values, layer, head, table, length, i, out[g * head_dim :], head_dim)
        for g in range(threes, group):
            for i in range(0, wide, sum_width):
                wide_sum(scores[g:], values, layer, head, table, length, i, out[g * head_dim :], head_dim)
            for i in range(wide, head_dim, rest_width):
                narrow_sum(scores[g:], values, layer, head, table, length, i, out[g * head_dim :], head_dim)

    return attend


attend_floats = attention_of(WIDTH, LANES, WIDTH)
attend_blocks = attention_of(BLOCK, BLOCK, BLOCK)


def attend(q, keys, values, layer, head, table, length, scores, out):
    """out = softmax(q · K / sqrt(D)) · V over the first `length` positions, for the query heads of one KV head.

    q, out: [G * D], the G heads one after the other. keys, values: [layers, blocks, H_kv, block_size, D] of float32, or
    of the bytes of blocks.py with as many bytes as a vector has; head: the KV head; table: the sequence's blocks in
    order. scores: [G, room for `length` floats, rounded up to WIDTH].
    """


@overload(attend)
def compile_attend(q, keys, values, layer, head, table, length, scores, out):
    chosen = attend_floats if keys.dtype == types.float32 else attend_blocks
    return lambda q, keys, values, layer, head, table, length, scores, out: chosen(
        q, keys, values, layer, head, table, length, scores, out
    )
