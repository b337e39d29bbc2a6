"""A vector of floats as a Numba type: one value that a processor computes with as a whole.

LLVM would vectorize a loop that sums only by summing in another order, and which order depends on the loop. Here the
order is written: lane j of a vector is one sum, and every operation works on all lanes alike. LLVM splits a vector
into as many registers as the processor needs (64 floats are four of AVX-512, eight of AVX2, sixteen of NEON).
"""

import operator

from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic, models, overload, register_model

from mini_engine.cpu.processor import vector_bits

BYTE = ir.IntType(8)
CACHE_LINE, AHEAD = 64, 8192  # bytes; AHEAD, for weights, by measurement: less than half of it gains little


class Lanes(types.Type):
    """The Numba type of a vector of `width` float32."""

    def __init__(self, width):
        super().__init__(f"lanes{width}")
        self.width = width

    @property
    def floats(self):
        """LLVM's name for it."""
        return ir.VectorType(ir.FloatType(), self.width)


@register_model(Lanes)
class LanesModel(models.PrimitiveModel):
    """A Lanes value is an LLVM vector."""

    def __init__(self, manager, kind):
        super().__init__(manager, kind, kind.floats)


# outputs computed at once, and rows that share each loaded weight: as many sums as the registers hold
LANES, MAX_ROWS = (64, 6) if vector_bits() == 512 else (32, 3)


def pointer(context, builder, array_type, array, index, width):
    """Where element `index` of an array's memory lies, as a pointer to `width` elements; and their vector type."""
    data = context.make_array(array_type)(context, builder, array).data
    vector = ir.VectorType(context.get_data_type(array_type.dtype), width)
    return builder.bitcast(builder.gep(data, [index]), vector.as_pointer()), vector


@intrinsic(prefer_literal=True)
def load(typing, array, index, width):
    """`width` neighbours from element `index` of an array's memory on, as floats.

    array: float32, int8, or uint16 that holds the bits of float16; contiguous, of any number of dimensions.
    """

    def generate(context, builder, signature, args):
        kind = signature.args[0]
        address, _ = pointer(context, builder, kind, args[0], args[1], width.literal_value)
        value = builder.load(address, align=kind.dtype.bitwidth // 8)
        if kind.dtype == types.int8:
            return builder.sitofp(value, signature.return_type.floats)
        if kind.dtype == types.uint16:
            halves = builder.bitcast(value, ir.VectorType(ir.HalfType(), width.literal_value))
            return builder.fpext(halves, signature.return_type.floats)
        return value

    return Lanes(width.literal_value)(array, types.intp, width), generate


@intrinsic(prefer_literal=True)
def prefetch(typing, array, index, width, ahead):
    """Ask for the memory `ahead` bytes behind `width` neighbours from element `index` on; it changes no result.

    A core waits for few cache lines at a time, and while it computes it asks for none: asked for early, they are there.
    """

    def generate(context, builder, signature, args):
        address, vector = pointer(context, builder, signature.args[0], args[0], args[1], width.literal_value)
        first, number = builder.bitcast(address, BYTE.as_pointer()), ir.IntType(32)
        kind = ir.FunctionType(ir.VoidType(), [first.type, number, number, number])
        function = cgutils.get_or_insert_function(builder.module, kind, "llvm.prefetch.p0")
        num_bytes = width.literal_value * signature.args[0].dtype.bitwidth // 8
        for start in range(0, num_bytes, CACHE_LINE):
            line = builder.gep(first, [ir.Constant(ir.IntType(64), ahead.literal_value + start)])
            builder.call(function, [line, number(0), number(3), number(1)])  # to read, into all caches, data
        return context.get_dummy_value()

    return types.void(array, types.intp, width, ahead), generate


@intrinsic(prefer_literal=True)
def load_nibbles(typing, array, index, width, high):
    """The low (high=0) or high (high=1) four bits of `width` bytes of a uint8 array, 0 to 15, as floats."""

    def generate(context, builder, signature, args):
        address, kind = pointer(context, builder, signature.args[0], args[0], args[1], width.literal_value)
        value = builder.load(address, align=1)
        if high.literal_value:
            value = builder.lshr(value, ir.Constant(kind, [4] * width.literal_value))
        else:
            value = builder.and_(value, ir.Constant(kind, [15] * width.literal_value))
        return builder.uitofp(value, signature.return_type.floats)

    return Lanes(width.literal_value)(array, types.intp, width, high), generate


@intrinsic
def store(typing, array, index, value):
    """Write a vector to a float32 array's memory, from element `index` on."""

    def generate(context, builder, signature, args):
        address, _ = pointer(context, builder, signature.args[0], args[0], args[1], value.width)
        builder.store(args[2], address, align=4)
        return context.get_dummy_value()

    return types.void(array, types.intp, value), generate


@intrinsic(prefer_literal=True)
def splat(typing, number, width):
    """A vector with the same number in every lane."""

    def generate(context, builder, signature, args):
        floats = signature.return_type.floats
        one = builder.insert_element(ir.Constant(floats, ir.Undefined), args[0], ir.Constant(ir.IntType(32), 0))
        zeros = ir.Constant(ir.VectorType(ir.IntType(32), width.literal_value), [0] * width.literal_value)
        return builder.shuffle_vector(one, ir.Constant(floats, ir.Undefined), zeros)

    return Lanes(width.literal_value)(types.float32, width), generate


def called(name):
    """An intrinsic that calls LLVM's function of that name on vectors."""

    def function(typing, *vectors):
        def generate(context, builder, signature, args):
            floats = signature.return_type.floats
            kind = ir.FunctionType(floats, [floats] * len(args))
            full_name = f"llvm.{name}.v{signature.return_type.width}f32"
            return builder.call(cgutils.get_or_insert_function(builder.module, kind, full_name), args)

        return vectors[0](*vectors), generate

    return function


@intrinsic
def fma(typing, a, b, c):
    """a * b + c, rounded once where the processor can."""
    return called("fmuladd")(typing, a, b, c)


@intrinsic
def maximum(typing, a, b):
    """The larger of each pair."""
    return called("maxnum")(typing, a, b)


@intrinsic
def minimum(typing, a, b):
    """The smaller of each pair."""
    return called("minnum")(typing, a, b)


@intrinsic
def floor(typing, a):
    """The whole number below."""
    return called("floor")(typing, a)


@intrinsic
def two_to(typing, exponents):
    """2 ** n for whole n of -126 to 127: n + 127 are a float's exponent bits."""

    def generate(context, builder, signature, args):
        integers = ir.VectorType(ir.IntType(32), exponents.width)
        whole = builder.add(builder.fptosi(args[0], integers), ir.Constant(integers, [127] * exponents.width))
        return builder.bitcast(builder.shl(whole, ir.Constant(integers, [23] * exponents.width)), exponents.floats)

    return exponents(exponents), generate


def arithmetic(operation, instruction):
    """Make a Python operator work on two vectors."""

    @intrinsic
    def compute(typing, a, b):
        return a(a, b), lambda context, builder, signature, args: getattr(builder, instruction)(*args)

    @overload(operation, inline="always")
    def choose(a, b):
        if isinstance(a, Lanes) and a == b:
            return lambda a, b: compute(a, b)

    return choose


for operation, instruction in (("add", "fadd"), ("sub", "fsub"), ("mul", "fmul"), ("truediv", "fdiv")):
    arithmetic(getattr(operator, operation), instruction)


@intrinsic(prefer_literal=True)
def fold(typing, value, larger):
    """Add up (or, larger=True, take the largest of) all lanes: the upper half to the lower half, until one is left."""

    def generate(context, builder, signature, args):
        vector, width = args[0], value.width
        while width > 1:
            width //= 2
            halves = [
                builder.shuffle_vector(
                    vector, vector, ir.Constant(ir.VectorType(ir.IntType(32), width), list(range(start, start + width)))
                )
                for start in (0, width)
            ]
            if larger.literal_value:
                vector = builder.select(builder.fcmp_ordered(">", *halves), *halves)
            else:
                vector = builder.fadd(*halves)
        return builder.extract_element(vector, ir.Constant(ir.IntType(32), 0))

    return types.float32(value, larger), generate


@intrinsic
def fold_four(typing, a, b, c, d):
    """The sums of four vectors' lanes as a vector of four: each is added up as fold does, by a quarter of its steps."""

    def generate(context, builder, signature, args):
        vectors, half = list(args), signature.args[0].width // 2
        while half:
            pairs = zip(vectors[::2], vectors[1::2] or vectors, strict=True)
            vectors = [added_halves(builder, *pair, half, len(vectors) > 1) for pair in pairs]
            half //= 2
        return vectors[0]

    return Lanes(4)(a, b, c, d), generate


def added_halves(builder, u, v, half, both):
    """The upper half of each run of 2 * half lanes of u (and of v, where both is set) added to its lower half."""
    starts = range(0, u.type.count * (1 + both), 2 * half)
    sides = [[start + side + i for start in starts for i in range(half)] for side in (0, half)]
    kind = ir.VectorType(ir.IntType(32), len(sides[0]))
    return builder.fadd(*(builder.shuffle_vector(u, v, ir.Constant(kind, side)) for side in sides))
