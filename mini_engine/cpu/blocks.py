"""KV vectors in blocks of 32 numbers, as quant/pages.py lays them out: read into registers, and written.

An int8 array holds Q8_0 blocks, a float16 scale and 32 bytes; a uint8 array Q4_1 blocks, scale, minimum and 16 bytes.
"""

import numpy as np
from llvmlite import ir
from numba import types
from numba.extending import intrinsic, overload

from mini_engine.cpu.compiler import kernel
from mini_engine.cpu.lanes import BYTE, Lanes, pointer

BLOCK = 32
BLOCK_BYTES = {types.int8: 34, types.uint8: 20}


def number(value):
    """An LLVM constant that indexes a shuffle."""
    return ir.Constant(ir.IntType(32), value)


@intrinsic(prefer_literal=True)
def piece(typing, array, at, i, width):
    """`width` neighbours from element i on of the vector that begins at element `at` of an array's memory, as floats.

    array: float32; or int8 or uint8 that holds blocks, `at` in bytes: there width is 32 and divides i.
    """
    floats = Lanes(width.literal_value)

    def generate(context, builder, signature, args):
        if array.dtype == types.float32:
            index = builder.add(args[1], args[2])
            return builder.load(pointer(context, builder, array, args[0], index, floats.width)[0], align=4)
        size, integers = BLOCK_BYTES[array.dtype], ir.IntType(64)
        blocks = builder.sdiv(args[2], ir.Constant(integers, BLOCK))
        first = builder.add(args[1], builder.mul(blocks, ir.Constant(integers, size)))
        data, _ = pointer(context, builder, array, args[0], first, 1)
        data = builder.bitcast(data, BYTE.as_pointer())
        scale = spread(builder, data, 0, floats.floats)
        if array.dtype == types.int8:
            q = load_bytes(builder, data, 2, BLOCK)
            return builder.fmul(builder.sitofp(q, floats.floats), scale)
        packed = load_bytes(builder, data, 4, BLOCK // 2)
        low = builder.and_(packed, ir.Constant(packed.type, [15] * (BLOCK // 2)))
        high = builder.lshr(packed, ir.Constant(packed.type, [4] * (BLOCK // 2)))
        order = ir.Constant(ir.VectorType(ir.IntType(32), BLOCK), list(range(BLOCK)))
        q = builder.uitofp(builder.shuffle_vector(low, high, order), floats.floats)
        return builder.fadd(builder.fmul(q, scale), spread(builder, data, 2, floats.floats))

    return floats(array, types.intp, types.intp, width), generate


def load_bytes(builder, data, start, count):
    """A vector of bytes that begins `start` bytes behind a pointer."""
    address = builder.gep(data, [number(start)])
    return builder.load(builder.bitcast(address, ir.VectorType(BYTE, count).as_pointer()), align=1)


def spread(builder, data, start, floats):
    """The float16 that begins `start` bytes behind a pointer, as a float in every lane."""
    address = builder.bitcast(builder.gep(data, [number(start)]), ir.HalfType().as_pointer())
    one = builder.fpext(builder.load(address, align=1), ir.FloatType())
    lanes = builder.insert_element(ir.Constant(floats, ir.Undefined), one, number(0))
    zeros = ir.Constant(ir.VectorType(ir.IntType(32), floats.count), [0] * floats.count)
    return builder.shuffle_vector(lanes, ir.Constant(floats, ir.Undefined), zeros)


@intrinsic
def store_half(typing, array, index, value):
    """Write a float32 as float16 into two bytes of an int8 or uint8 array's memory, from byte `index` on."""

    def generate(context, builder, signature, args):
        data, _ = pointer(context, builder, signature.args[0], args[0], args[1], 1)
        half = builder.fptrunc(args[2], ir.HalfType())
        builder.store(half, builder.bitcast(data, ir.HalfType().as_pointer()), align=1)
        return context.get_dummy_value()

    return types.void(array, types.intp, types.float32), generate


@kernel
def inverse_of(step):
    """1 / step, and 0 for a step of 0."""
    return np.float32(0) if step == 0 else np.float32(1) / step


@kernel
def write_floats(pool, at, row, first, head_dim):
    for i in range(head_dim):
        pool[at + i] = row[first + i]


@kernel
def write_int8(pool, at, row, first, head_dim):
    """The same operations in the same order as quant/pages.encode, so the same bytes."""
    for start in range(first, first + head_dim, BLOCK):
        largest = np.float32(0)
        for i in range(start, start + BLOCK):
            largest = max(largest, abs(row[i]))
        step = largest / np.float32(127)
        inverse = inverse_of(step)
        store_half(pool, at, step)
        for i in range(BLOCK):
            steps = row[start + i] * inverse
            whole = np.trunc(steps)
            pool[at + 2 + i] = np.int8(whole + np.trunc(np.float32(2) * (steps - whole)))
        at += 34


@kernel
def write_int4(pool, at, row, first, head_dim):
    """As write_int8."""
    for start in range(first, first + head_dim, BLOCK):
        lowest = highest = row[start]
        for i in range(start + 1, start + BLOCK):
            lowest, highest = min(lowest, row[i]), max(highest, row[i])
        step = (highest - lowest) / np.float32(15)
        inverse = inverse_of(step)
        store_half(pool, at, step)
        store_half(pool, at + 2, lowest)
        for i in range(BLOCK // 2):
            low = np.uint8((row[start + i] - lowest) * inverse + np.float32(0.5))
            high = np.uint8((row[start + BLOCK // 2 + i] - lowest) * inverse + np.float32(0.5))
            pool[at + 4 + i] = min(low, np.uint8(15)) | min(high, np.uint8(15)) << 4
        at += 20


def write_vector(pool, at, row, first, head_dim):
    """Write head_dim floats of a row, from `first` on, as the vector that begins at element `at` of a flat pool."""


@overload(write_vector)
def compile_write_vector(pool, at, row, first, head_dim):
    write = {types.float32: write_floats, types.int8: write_int8, types.uint8: write_int4}[pool.dtype]
    return lambda pool, at, row, first, head_dim: write(pool, at, row, first, head_dim)
