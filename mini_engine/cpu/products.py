"""Rows of floats times a weight: y[b, o] = sum over k of x[b, k] * w[k, o].

Every output is one lane and one sum, in the order k = 0, 1, 2, …, whatever the number of rows, tiles and threads: so
a row's result is the same bits alone and in any batch.
"""

import numpy as np
from numba.extending import overload

from mini_engine.cpu.compiler import kernel
from mini_engine.cpu.lanes import AHEAD, LANES, MAX_ROWS, fma, load, load_nibbles, prefetch, splat, store
from mini_engine.cpu.matrices import GROUP_SIZE, Float32, Int4Groups, Int8, Int8Groups

MANY = 8 * MAX_ROWS  # from so many rows on it pays to convert a tile to floats once, by measurement


@kernel
def one_row(w, at, num_in, x):
    """The sums of one tile for one row. w: float32 or int8, the tile starts at element `at`. x: [in]."""
    a = splat(np.float32(0), LANES)
    for k in range(num_in):
        prefetch(w, at + k * LANES, LANES, AHEAD)
        a = fma(load(w, at + k * LANES, LANES), splat(x[k], LANES), a)
    return a


@kernel
def two_rows(w, at, num_in, x0, x1):
    """As one_row, for two rows that share each loaded weight."""
    a = b = splat(np.float32(0), LANES)
    for k in range(num_in):
        prefetch(w, at + k * LANES, LANES, AHEAD)
        weights = load(w, at + k * LANES, LANES)
        a = fma(weights, splat(x0[k], LANES), a)
        b = fma(weights, splat(x1[k], LANES), b)
    return a, b


@kernel
def three_rows(w, at, num_in, x0, x1, x2):
    a = b = c = splat(np.float32(0), LANES)
    for k in range(num_in):
        prefetch(w, at + k * LANES, LANES, AHEAD)
        weights = load(w, at + k * LANES, LANES)
        a = fma(weights, splat(x0[k], LANES), a)
        b = fma(weights, splat(x1[k], LANES), b)
        c = fma(weights, splat(x2[k], LANES), c)
    return a, b, c


@kernel
def four_rows(w, at, num_in, x0, x1, x2, x3):
    a = b = c = d = splat(np.float32(0), LANES)
    for k in range(num_in):
        prefetch(w, at + k * LANES, LANES, AHEAD)
        weights = load(w, at + k * LANES, LANES)
        a = fma(weights, splat(x0[k], LANES), a)
        b = fma(weights, splat(x1[k], LANES), b)
        c = fma(weights, splat(x2[k], LANES), c)
        d = fma(weights, splat(x3[k], LANES), d)
    return a, b, c, d


@kernel
def six_rows(w, at, num_in, x0, x1, x2, x3, x4, x5):
    a = b = c = d = e = f = splat(np.float32(0), LANES)
    for k in range(num_in):
        prefetch(w, at + k * LANES, LANES, AHEAD)
        weights = load(w, at + k * LANES, LANES)
        a = fma(weights, splat(x0[k], LANES), a)
        b = fma(weights, splat(x1[k], LANES), b)
        c = fma(weights, splat(x2[k], LANES), c)
        d = fma(weights, splat(x3[k], LANES), d)
        e = fma(weights, splat(x4[k], LANES), e)
        f = fma(weights, splat(x5[k], LANES), f)
    return a, b, c, d, e, f


@kernel
def all_rows(w, at, m, tile, x, num_in, y, column, add):
    """One tile times every row of x [rows, in], into y[:, column : column + LANES]; w and at as in one_row."""
    r = 0
    while r < len(x):
        left = len(x) - r
        if left >= 6 and MAX_ROWS == 6:
            a, b, c, d, e, f = six_rows(w, at, num_in, x[r], x[r + 1], x[r + 2], x[r + 3], x[r + 4], x[r + 5])
            put(y[r + 2], column, scaled(m, tile, c), add)
            put(y[r + 3], column, scaled(m, tile, d), add)
            put(y[r + 4], column, scaled(m, tile, e), add)
            put(y[r + 5], column, scaled(m, tile, f), add)
            done = 6
        elif left >= 4 and MAX_ROWS == 6:
            a, b, c, d = four_rows(w, at, num_in, x[r], x[r + 1], x[r + 2], x[r + 3])
            put(y[r + 2], column, scaled(m, tile, c), add)
            put(y[r + 3], column, scaled(m, tile, d), add)
            done = 4
        elif left == 3:
            a, b, c = three_rows(w, at, num_in, x[r], x[r + 1], x[r + 2])
            put(y[r + 2], column, scaled(m, tile, c), add)
            done = 3
        elif left >= 2:
            a, b = two_rows(w, at, num_in, x[r], x[r + 1])
            done = 2
        else:
            a = one_row(w, at, num_in, x[r])
            b = a
            done = 1
        put(y[r], column, scaled(m, tile, a), add)
        if done > 1:
            put(y[r + 1], column, scaled(m, tile, b), add)
        r += done


@kernel
def put(y, column, value, add):
    """Write a tile's outputs into a row, or add them to what stands there."""
    if add:
        value = load(y, column, LANES) + value
    store(y, column, value)


def scaled(m, tile, sums):
    """The outputs of a tile from its sums: times the scale of each output where the format has one."""


@overload(scaled, inline="always")
def compile_scaled(m, tile, sums):
    if m.instance_class is Int8:
        return lambda m, tile, sums: sums * load(m.scales, tile * LANES, LANES)
    return lambda m, tile, sums: sums


@kernel
def one_row_int4(m, tile, num_in, x):
    """one_row for packed weights, which are unpacked on their way through the registers."""
    a = splat(np.float32(0), LANES)
    for group in range(num_in // GROUP_SIZE):
        at = (tile * (num_in // GROUP_SIZE) + group) * LANES
        scale, minimum = load(m.scales, at, LANES), load(m.minima, at, LANES)
        for pair in range(GROUP_SIZE // 2):
            k, q = group * GROUP_SIZE + 2 * pair, (at // LANES * (GROUP_SIZE // 2) + pair) * LANES
            prefetch(m.q, q, LANES, AHEAD)
            a = fma(load_nibbles(m.q, q, LANES, 0) * scale + minimum, splat(x[k], LANES), a)
            a = fma(load_nibbles(m.q, q, LANES, 1) * scale + minimum, splat(x[k + 1], LANES), a)
    return a


@kernel
def one_row_int8_groups(m, tile, num_in, x):
    """one_row for weights with a scale for each group."""
    a = splat(np.float32(0), LANES)
    for group in range(num_in // GROUP_SIZE):
        at = (tile * (num_in // GROUP_SIZE) + group) * LANES
        scale = load(m.scales, at, LANES)
        for i in range(GROUP_SIZE):
            weights = load(m.q, (at // LANES * GROUP_SIZE + i) * LANES, LANES) * scale
            a = fma(weights, splat(x[group * GROUP_SIZE + i], LANES), a)
    return a


@kernel
def unpack_int8(m, tile, num_in, buffer):
    """A tile's whole numbers as floats [in, LANES] in the buffer."""
    for k in range(num_in):
        prefetch(m.q, (tile * num_in + k) * LANES, LANES, AHEAD)
        store(buffer, k * LANES, load(m.q, (tile * num_in + k) * LANES, LANES))


@kernel
def unpack_int8_groups(m, tile, num_in, buffer):
    """A tile's weights as floats [in, LANES] in the buffer."""
    for group in range(num_in // GROUP_SIZE):
        at = tile * (num_in // GROUP_SIZE) + group
        scale = load(m.scales, at * LANES, LANES)
        for i in range(GROUP_SIZE):
            weights = load(m.q, (at * GROUP_SIZE + i) * LANES, LANES) * scale
            store(buffer, (group * GROUP_SIZE + i) * LANES, weights)


@kernel
def unpack_int4(m, tile, num_in, buffer):
    """A tile's weights as floats [in, LANES] in the buffer."""
    for group in range(num_in // GROUP_SIZE):
        at = tile * (num_in // GROUP_SIZE) + group
        scale, minimum = load(m.scales, at * LANES, LANES), load(m.minima, at * LANES, LANES)
        for pair in range(GROUP_SIZE // 2):
            q, to = (at * (GROUP_SIZE // 2) + pair) * LANES, (group * GROUP_SIZE + 2 * pair) * LANES
            prefetch(m.q, q, LANES, AHEAD)
            store(buffer, to, load_nibbles(m.q, q, LANES, 0) * scale + minimum)
            store(buffer, to + LANES, load_nibbles(m.q, q, LANES, 1) * scale + minimum)


def tile_product(m, tile, x, num_in, y, column, add, buffer):
    """One tile of a weight in any format times every row of x. buffer: room for a tile of floats."""


@overload(tile_product)
def compile_tile_product(m, tile, x, num_in, y, column, add, buffer):
    return {Float32: float32_tile, Int8: int8_tile, Int8Groups: int8_groups_tile, Int4Groups: int4_tile}[
        m.instance_class
    ]


def float32_tile(m, tile, x, num_in, y, column, add, buffer):
    all_rows(m.w, tile * num_in * LANES, m, tile, x, num_in, y, column, add)


def int8_tile(m, tile, x, num_in, y, column, add, buffer):
    if len(x) < MANY:
        all_rows(m.q, tile * num_in * LANES, m, tile, x, num_in, y, column, add)
    else:
        unpack_int8(m, tile, num_in, buffer)
        all_rows(buffer, 0, m, tile, x, num_in, y, column, add)


def int8_groups_tile(m, tile, x, num_in, y, column, add, buffer):
    if len(x) == 1:
        put(y[0], column, one_row_int8_groups(m, tile, num_in, x[0]), add)
    else:
        unpack_int8_groups(m, tile, num_in, buffer)
        all_rows(buffer, 0, m, tile, x, num_in, y, column, add)


def int4_tile(m, tile, x, num_in, y, column, add, buffer):
    if len(x) == 1:
        put(y[0], column, one_row_int4(m, tile, num_in, x[0]), add)
    else:
        unpack_int4(m, tile, num_in, buffer)
        all_rows(buffer, 0, m, tile, x, num_in, y, column, add)


@kernel
def product_part(m, layer, x, num_in, y, add, buffer, first, last):
    """Tiles first to last of y (+)= x @ w. x: [rows, at least in]; y: [rows, tiles * LANES]."""
    num_tiles = y.shape[1] // LANES
    for n in range(first, last):
        tile_product(m, layer * num_tiles + n, x, num_in, y, n * LANES, add, buffer)
