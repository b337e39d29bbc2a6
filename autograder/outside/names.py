"""What crosses by its name: classes, enums, modules, exceptions. The tester's list is short, the student's is not."""

import collections
import dataclasses
import enum
import fractions
import importlib
import sys

from .wire import WireError

ROOTS = {
    "builtins", "numpy", "torch", "math", "mini_engine", "collections", "itertools", "functools", "operator", "json",
    "fractions", "statistics", "random", "cmath", "types", "time", "enum", "string", "re",
}  # fmt: skip
MODULES = {"numpy", "torch", "math", "numpy.linalg", "torch.nn", "torch.nn.functional"}
COLLECTIONS = {
    collections.Counter, collections.OrderedDict, collections.defaultdict, collections.deque, fractions.Fraction,
}  # fmt: skip
PLAIN_TYPES = {
    "int", "float", "complex", "bool", "str", "bytes", "bytearray", "list", "tuple", "dict", "set", "frozenset",
    "range", "slice", "object",
}  # fmt: skip


def look_up(module, qualname, trusted):
    """The object of that name. The trusted side imports nothing and takes harmless classes only."""
    if not (isinstance(module, str) and isinstance(qualname, str)) or module.split(".")[0] not in ROOTS:
        raise WireError("a name outside of the list")
    if trusted and module not in sys.modules:
        raise WireError("a name from a module that is not loaded")
    try:
        found = importlib.import_module(module)
        for part in qualname.split("."):
            if part.startswith("_"):
                raise WireError("a private name")
            found = getattr(found, part)
    except (ImportError, AttributeError):
        raise WireError(f"no {qualname[:60]} in {module[:60]}") from None
    if trusted and not is_harmless(found):
        raise WireError(f"{qualname[:60]} may not cross by name")
    return found


def is_harmless(found):
    """Classes that a test may be given by name: plain types, exceptions, NumPy's scalars, the engine's.

    By the module that the class itself is from: a module of the list also holds what it has imported.
    """
    if not isinstance(found, type) or not isinstance(found.__module__, str):
        return False
    module = found.__module__.split(".")[0]
    if module == "builtins":
        return found.__name__ in PLAIN_TYPES or issubclass(found, Exception)
    if module == "numpy":
        numpy = sys.modules["numpy"]
        return found is numpy.ndarray or issubclass(found, numpy.generic | Exception)
    return module == "mini_engine" or found in COLLECTIONS


def name_of(value, trusted):
    """(module, qualname) under which the other side finds the value, or None."""
    qualname = getattr(value, "__qualname__", None) or getattr(value, "__name__", None)
    module = getattr(value, "__module__", None)
    if not isinstance(qualname, str) or "<" in qualname:
        return None
    for place in (module, "numpy", "torch", "builtins"):
        if isinstance(place, str) and place.split(".")[0] in ROOTS and place in sys.modules:
            try:
                if look_up(place, qualname, trusted=not trusted) is value:
                    return place, qualname
            except WireError:
                continue
    return None


def is_record(cls):
    """Whether instances cross by their fields: the engine's dataclasses (Sequence, ModelConfig, ...)."""
    return dataclasses.is_dataclass(cls) and cls.__module__.split(".")[0] == "mini_engine"


def is_frozen(cls):
    return cls.__dataclass_params__.frozen


def record_class(module, qualname, trusted):
    cls = look_up(module, qualname, trusted)
    if not (isinstance(cls, type) and is_record(cls)):
        raise WireError("not a record of the engine")
    return cls


def check_field(cls, name):
    """A field must not take the place of a method or a property."""
    found = getattr(cls, name, None) if isinstance(name, str) else None
    hidden = name.startswith("__") if isinstance(name, str) else True
    if hidden or not name.isidentifier() or callable(found) or isinstance(found, property):
        raise WireError("a field that the record cannot have")


def enum_member(module, qualname, member, trusted):
    cls = look_up(module, qualname, trusted)
    if not (isinstance(cls, type) and issubclass(cls, enum.Enum) and isinstance(member, str)):
        raise WireError("not an enum")
    try:
        return cls[member]
    except KeyError:
        raise WireError("no such member") from None


def clean(name):
    """A name of the other side as it may be shown."""
    name = name[:60] if isinstance(name, str) else ""
    return name if name.isidentifier() else "Object"
