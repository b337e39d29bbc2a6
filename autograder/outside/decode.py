"""JSON to values. Whatever arrives is checked: kinds, sizes, numbers, depth; nothing is evaluated."""

import collections
import fractions
import math
import random
import sys

import numpy as np

from . import kinds, names
from .containers import Container, pairs_of
from .encode import BIT_GENERATORS, DICTS, DTYPE, MAX_DEPTH, MAX_INT_BITS, TENSOR_TYPES
from .entries import Draws
from .wire import WireError

MAX_DIMENSIONS = 32
MAX_RANGE = 1 << 62


class Decoder:
    """Makes values of JSON; `owned` resolves references to objects that stay on one side."""

    def __init__(self, shared, owned):
        self.shared, self.owned, self.is_trusted = shared, owned, shared.is_trusted
        self.blobs = []

    def decode(self, coded, depth=0):
        if coded is None or type(coded) in (bool, str, int, float):
            return coded
        if depth > MAX_DEPTH:
            raise WireError("an answer is nested too deep")
        if not isinstance(coded, list) or not coded or not isinstance(coded[0], str):
            raise WireError("an answer of no known kind")
        method = DECODERS.get(coded[0])
        if method is None:
            raise WireError(f"an answer of an unknown kind: {coded[0][:30]}")
        try:
            return method(self, depth + 1, *coded[1:])
        except (TypeError, ValueError, KeyError, IndexError, OverflowError, AttributeError, MemoryError) as error:
            raise WireError(f"an answer that cannot be read: {coded[0]}: {error}"[:300]) from None

    def parts(self, coded, depth):
        if not isinstance(coded, list):
            raise WireError("an answer whose parts are no list")
        return [self.decode(part, depth) for part in coded]

    def known(self, depth, key):
        return self.shared.get(key)

    def big_int(self, depth, digits):
        if len(digits) > MAX_INT_BITS // 4:
            raise WireError("an integer is too large")
        return int(digits, 16)

    def container(self, depth, value, key, coded):
        """Fills an empty container; it is known under its number before its parts are read."""
        entry = Container(value)
        if key is not None:
            self.shared.check_key(key)
            self.shared.add(key, entry)
        try:
            entry.replace(self.parts(coded, depth))
        except TypeError as error:
            raise WireError(f"parts that cannot stand there: {error}") from None
        return value

    def list(self, depth, key, coded):
        return self.container(depth, [], key, coded)

    def set(self, depth, key, coded):
        return self.container(depth, set(), key, coded)

    def deque(self, depth, key, coded, maxlen):
        return self.container(depth, collections.deque(maxlen=maxlen), key, coded)

    def dict(self, depth, key, coded, kind, factory=None):
        if kind == "defaultdict":
            factory = self.decode(factory, depth)
            return self.container(depth, collections.defaultdict(factory), key, coded)
        return self.container(depth, DICTS[kind](), key, coded)

    def record(self, depth, key, coded, module, qualname):
        cls = names.record_class(module, qualname, self.is_trusted)
        value = object.__new__(cls)
        if names.is_frozen(cls):
            for name, part in pairs_of(self.parts(coded, depth)):
                names.check_field(cls, name)
                object.__setattr__(value, name, part)
            return value
        return self.container(depth, value, key, coded)

    def draws(self, depth, key, state, kind):
        self.shared.check_key(key)
        if kind not in BIT_GENERATORS | {"Random"}:
            raise WireError("an unknown generator")
        value = random.Random(0) if kind == "Random" else np.random.Generator(getattr(np.random, kind)(0))
        entry = Draws(value)
        entry.replace([self.decode(state, depth)])
        self.shared.add(key, entry)
        return value

    def dataclass(self, depth, key, coded, name, fields, *settings):
        if not all(type(flag) is bool for flag in settings):
            raise WireError("a record with settings that are none")
        return self.container(depth, object.__new__(kinds.dataclass_like(name, tuple(fields), *settings)), key, coded)

    def tuple(self, depth, coded, name=None, fields=None):
        values = self.parts(coded, depth)
        if name is None:
            return tuple(values)
        if len(fields) != len(values):
            raise WireError("a tuple with other names than parts")
        return kinds.tuple_like(name, tuple(fields))._make(values)

    def bytes(self, depth, number):
        if type(number) is not int or not 0 <= number < len(self.blobs):
            raise WireError("no such bytes")
        return bytes(self.blobs[number])

    def bytearray(self, depth, number):
        return bytearray(self.bytes(depth, number))

    def derived(self, depth, base, coded, attributes):
        """A number or text with attributes of its own."""
        cls = type("Derived", ({"int": int, "float": float, "str": str}[base],), {})
        value = cls(self.decode(coded, depth))
        for name, part in attributes.items():
            if name.startswith("_") or hasattr(cls, name) or type(part) not in (str, int, float, bool):
                raise WireError("an attribute that a number cannot have")
            setattr(value, name, part)
        return value

    def range(self, depth, coded):
        parts = self.parts(coded, depth)
        if not all(type(part) is int and abs(part) < MAX_RANGE for part in parts):
            raise WireError("not a range")
        return range(*parts)

    def fraction(self, depth, coded):
        parts = self.parts(coded, depth)
        if not all(type(part) is int for part in parts):  # a text such as 1e400000000 would take for ever
            raise WireError("not a fraction")
        return fractions.Fraction(*parts)

    def array(self, depth, key, kind, shape, steps=None, offset=0, writeable=True):
        dtype = self.dtype(depth, kind)
        for number in [*shape, *(steps or []), offset]:
            if type(number) is not int or abs(number) > MAX_RANGE:
                raise WireError("a shape that no array has")
        if len(shape) > MAX_DIMENSIONS or min(shape, default=1) < 0:
            raise WireError("a shape that no array has")
        if key is None:
            if 0 not in shape:
                raise WireError("an array without memory")
            return np.empty(shape, dtype)
        found = self.shared.region(key).view(dtype, tuple(shape), tuple(steps), offset)
        if writeable is not True and found.flags.writeable:
            found = found.view()
            found.flags.writeable = False
        return found

    def dtype(self, depth, name):
        if not isinstance(name, str) or not DTYPE.fullmatch(name):
            raise WireError(f"the dtype {str(name)[:20]!r} cannot cross")
        return np.dtype(name)

    def objects(self, depth, shape, coded):
        values = self.parts(coded, depth)
        if not all(type(count) is int and count >= 0 for count in shape) or math.prod(shape) != len(values):
            raise WireError("an array of objects of another size")
        found = np.empty(shape, object)
        for place, value in enumerate(values):
            found.flat[place] = value
        return found

    def scalar(self, depth, kind, digits):
        return np.frombuffer(bytes.fromhex(digits), self.dtype(depth, kind))[0]

    def tensor(self, depth, coded, name, needs_gradient):
        torch = sys.modules.get("torch")
        if torch is None and not self.is_trusted:
            import torch
        if torch is None or name not in TENSOR_TYPES:
            raise WireError("a tensor that cannot cross")
        array = self.decode(coded, depth)
        if not isinstance(array, np.ndarray) or array.dtype.kind in "SUO":
            raise WireError("a tensor without numbers")
        found = torch.from_numpy(
            array if array.flags.writeable and min(array.strides, default=0) >= 0 else array.copy()
        )
        found = found.view(torch.bfloat16) if name == "bfloat16" else found
        if found.dtype is not getattr(torch, name):
            raise WireError("a tensor of another dtype")
        return found.requires_grad_() if needs_gradient is True else found

    def torch_dtype(self, depth, name):
        torch = sys.modules.get("torch")
        if torch is None and not self.is_trusted:
            import torch
        if name not in TENSOR_TYPES:
            raise WireError("an unknown dtype")
        return getattr(torch, name)

    def device(self, depth, kind, index):
        torch = sys.modules.get("torch")
        if torch is None or kind not in ("cpu", "cuda", "meta") or type(index) not in (int, type(None)):
            raise WireError("an unknown device")
        return torch.device(kind) if index is None else torch.device(kind, index)

    def module(self, depth, name):
        if name not in names.MODULES or name not in sys.modules:
            raise WireError("a module that cannot cross")
        return sys.modules[name]


DECODERS = {
    "@": Decoder.known,
    "int": Decoder.big_int,
    "list": Decoder.list,
    "set": Decoder.set,
    "dict": Decoder.dict,
    "deque": Decoder.deque,
    "record": Decoder.record,
    "dataclass": Decoder.dataclass,
    "draws": Decoder.draws,
    "tuple": Decoder.tuple,
    "frozenset": lambda decoder, depth, coded: frozenset(decoder.parts(coded, depth)),
    "bytes": Decoder.bytes,
    "bytearray": Decoder.bytearray,
    "derived": Decoder.derived,
    "range": Decoder.range,
    "slice": lambda decoder, depth, coded: slice(*decoder.parts(coded, depth)),
    "array": Decoder.array,
    "objects": Decoder.objects,
    "scalar": Decoder.scalar,
    "dtype": Decoder.dtype,
    "tensor": Decoder.tensor,
    "torch dtype": Decoder.torch_dtype,
    "device": Decoder.device,
    "module": Decoder.module,
    "complex": lambda decoder, depth, real, imaginary: complex(real, imaginary),
    "...": lambda decoder, depth: ...,
    "fraction": Decoder.fraction,
    "name": lambda decoder, depth, module, qualname: names.look_up(module, qualname, decoder.is_trusted),
    "enum": lambda decoder, depth, *place: names.enum_member(*place, decoder.is_trusted),
    "theirs": lambda decoder, depth, *what: decoder.owned.remote(*what),
    "ours": lambda decoder, depth, number: decoder.owned.original(number),
}
