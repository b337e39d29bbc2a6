"""Values to JSON: plain ones by value, shared ones by number, everything else as a reference to its owner."""

import collections
import enum
import fractions
import random
import re
import sys

import numpy as np

from . import kinds, names
from .containers import Container, plain_base
from .entries import Draws
from .wire import WireError

MAX_DEPTH = 60
MAX_INT_BITS = 1 << 20
DTYPE = re.compile(r"[<>|=]?(b1|[iu][1248]|f2|f4|f8|f16|c8|c16|c32|[SU]\d{1,6})")
DICTS = {"OrderedDict": collections.OrderedDict, "Counter": collections.Counter, "dict": dict}  # the first that fits
IMMUTABLE = (tuple, frozenset, bytes, bytearray, int, float, complex, str, fractions.Fraction)
BIT_GENERATORS = {"PCG64", "PCG64DXSM", "Philox", "SFC64", "MT19937"}
TENSOR_TYPES = {
    "float64", "float32", "float16", "bfloat16", "int64", "int32", "int16", "int8", "uint8", "bool", "complex64",
    "complex128",
}  # fmt: skip


def is_a(value, classes):
    """isinstance that asks the type alone: `__class__` may lie."""
    return issubclass(type(value), classes)


class Encoder:
    """Makes JSON of values; `owned` is asked for references to objects that stay on this side."""

    def __init__(self, shared, owned):
        self.shared, self.owned, self.is_trusted = shared, owned, shared.is_trusted
        self.blobs, self.one_way = [], False

    def encode(self, value, depth=0):
        kind = type(value)
        if value is None or kind is bool or kind is str or kind is float:
            return value
        if kind is int:
            return value if -(1 << 62) < value < 1 << 62 else ["int", f"{value:x}"]
        if depth > MAX_DEPTH:
            raise WireError("a value is nested too deep to cross")
        number = self.shared.known(value)
        if number is not None and not self.one_way:
            return ["@", number]
        for base, method in ENCODERS:
            if kind is base:
                return method(self, value, depth + 1)
        return self.encode_other(value, depth + 1)

    def encode_other(self, value, depth):
        """What is no plain value of the very types of ENCODERS."""
        torch = sys.modules.get("torch")
        if self.owned.is_remote(value):
            return self.owned.reference(value)
        if is_a(value, np.ndarray):
            return self.encode_array(plain_array(value), depth)
        if is_a(value, np.generic):
            return ["scalar", value.dtype.str, value.tobytes().hex()]
        if is_a(value, np.dtype):
            return ["dtype", value.str]
        if torch is not None and is_a(value, torch.Tensor):
            return self.encode_tensor(torch, value, depth)
        if torch is not None and is_a(value, torch.dtype):
            return ["torch dtype", str(value).removeprefix("torch.")]
        if torch is not None and is_a(value, torch.device):
            return ["device", value.type, value.index]
        if is_a(value, enum.Enum) and names.name_of(type(value), self.is_trusted):
            return ["enum", *names.name_of(type(value), self.is_trusted), value.name]
        if is_a(value, type(sys)) and value.__name__ in names.MODULES:
            return ["module", value.__name__]
        if names.is_record(type(value)) and not is_a(value, type):
            return self.encode_record(value, depth)
        if is_a(value, np.random.Generator | random.Random):
            return self.encode_draws(value, depth)
        base = plain_base(type(value))
        if base is not None:
            stays = not self.is_trusted and kinds.has_methods(type(value))
            return self.owned.reference(value) if stays else ENCODER_OF[base](self, value, depth)
        for base in IMMUTABLE:
            if is_a(value, base):
                return self.encode_derived(base, value, depth)
        if kinds.layout(type(value)) and not self.is_trusted:
            return self.encode_shared("dataclass", value, depth, *kinds.layout(type(value)))
        if is_a(value, type) or callable(value):
            place = names.name_of(value, self.is_trusted)
            if place and (self.is_trusted or is_a(value, type)):
                return ["name", *place]
        return self.owned.reference(value)

    def encode_derived(self, base, value, depth):
        """A value below one that never changes: as that one, with a namedtuple's names or a number's attributes."""
        if base is tuple:
            fields = getattr(type(value), "_fields", None)
            return [
                "tuple",
                self.parts(tuple.__iter__(value), depth),
                *([type(value).__name__, list(fields)] if fields else []),
            ]
        if base not in (int, float, str):
            return ENCODER_OF[base](self, value, depth)
        plain = base.__pos__(value) if base in (int, float) else str.__str__(value)
        public = {key: part for key, part in getattr(value, "__dict__", {}).items() if not key.startswith("_")}
        simple = {key: part for key, part in public.items() if type(part) in (str, int, float, bool)}
        return ["derived", base.__name__, self.encode(plain, depth), simple] if simple else self.encode(plain, depth)

    def parts(self, values, depth):
        return [self.encode(value, depth) for value in values]

    def encode_shared(self, tag, value, depth, *more):
        entry = Container(value)
        if self.one_way:
            return [tag, None, self.parts(entry.snapshot, depth), *more]
        key = self.shared.take_key()
        self.shared.add(key, entry)
        return [tag, key, self.parts(entry.snapshot, depth), *more]

    def encode_dict(self, value, depth):
        kind = next(name for name, cls in DICTS.items() if is_a(value, cls))
        if is_a(value, collections.defaultdict):
            return self.encode_shared("dict", value, depth, "defaultdict", self.encode(value.default_factory, depth))
        return self.encode_shared("dict", value, depth, kind)

    def encode_record(self, value, depth):
        cls = type(value)
        place = names.name_of(cls, self.is_trusted)
        if place is None:
            return self.owned.reference(value)
        if names.is_frozen(cls):
            return ["record", None, self.parts(Container(value).snapshot, depth), *place]
        return self.encode_shared("record", value, depth, *place)

    def encode_draws(self, value, depth):
        kind = type(value.bit_generator).__name__ if isinstance(value, np.random.Generator) else "Random"
        if kind not in BIT_GENERATORS | {"Random"}:
            return self.owned.reference(value)
        entry, key = Draws(value), self.shared.take_key()
        self.shared.add(key, entry)
        return ["draws", key, self.copied(entry.snapshot, depth), kind]

    def copied(self, value, depth=0):
        """The value without a link: what the other side changes in it stays there."""
        before, self.one_way = self.one_way, True
        try:
            return self.encode(value, depth)
        finally:
            self.one_way = before

    def encode_array(self, value, depth):
        if value.dtype.kind == "O":
            return ["objects", list(value.shape), self.parts(value.ravel().tolist(), depth)]
        if not DTYPE.fullmatch(value.dtype.str):
            return self.owned.reference(value)
        if not value.size:
            return ["array", None, value.dtype.str, list(value.shape)]
        key, region = self.shared.region_of(value)
        steps, offset = list(value.strides), 0
        if region.is_dense:
            offset = value.__array_interface__["data"][0] - region.low
        else:
            steps = [int(np.prod(value.shape[axis + 1 :], dtype=int)) * value.itemsize for axis in range(value.ndim)]
        return ["array", key, value.dtype.str, list(value.shape), steps, offset, value.flags.writeable]

    def encode_tensor(self, torch, value, depth):
        name = str(value.dtype).removeprefix("torch.")
        if name not in TENSOR_TYPES or value.layout is not torch.strided or value.device.type != "cpu":
            return self.owned.reference(value)
        plain = value.detach().resolve_conj().resolve_neg()
        array = (plain.view(torch.int16) if name == "bfloat16" else plain).numpy()
        if not self.is_trusted and array.size:  # the whole storage first, so that slices of one tensor are views of it
            self.shared.region_of(torch.empty(0, dtype=torch.uint8).set_(plain.untyped_storage()).numpy())
        return ["tensor", self.encode_array(array, depth), name, value.requires_grad]

    def number_of_blob(self, data):
        self.blobs.append(data)
        return len(self.blobs) - 1


def plain_array(value):
    """The array itself of a matrix, a memmap or any other class below it; masked values have no place in one."""
    masked = sys.modules.get("numpy.ma")
    if masked is not None and is_a(value, masked.MaskedArray):
        if masked.is_masked(value):
            raise WireError("a masked array with masked values cannot cross: fill them first")
        value = masked.getdata(value)
    return np.asarray(value)


def encode_bytes(encoder, value, depth):
    return ["bytes", encoder.number_of_blob(bytes(value))]


def encode_slice(encoder, value, depth):
    return ["slice", encoder.parts((value.start, value.stop, value.step), depth)]


ENCODERS = [
    (list, lambda encoder, value, depth: encoder.encode_shared("list", value, depth)),
    (tuple, lambda encoder, value, depth: ["tuple", encoder.parts(value, depth)]),
    (dict, Encoder.encode_dict),
    (np.ndarray, Encoder.encode_array),
    (set, lambda encoder, value, depth: encoder.encode_shared("set", value, depth)),
    (frozenset, lambda encoder, value, depth: ["frozenset", encoder.parts(value, depth)]),
    (collections.OrderedDict, Encoder.encode_dict),
    (collections.deque, lambda encoder, value, depth: encoder.encode_shared("deque", value, depth, value.maxlen)),
    (bytes, encode_bytes),
    (bytearray, lambda encoder, value, depth: ["bytearray", encoder.number_of_blob(bytes(value))]),
    (complex, lambda encoder, value, depth: ["complex", value.real, value.imag]),
    (range, lambda encoder, value, depth: ["range", encoder.parts((value.start, value.stop, value.step), depth)]),
    (slice, encode_slice),
    (type(...), lambda encoder, value, depth: ["..."]),
    (fractions.Fraction, lambda encoder, value, depth: ["fraction", encoder.parts(value.as_integer_ratio(), depth)]),
]
ENCODER_OF = dict(ENCODERS)
