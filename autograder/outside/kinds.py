"""A student's own classes that are plain data in all but name, and what stands for them on the other side."""

import collections
import dataclasses
import functools

from .names import clean
from .wire import WireError

LIBRARY = (
    dict, list, set, collections.deque, collections.OrderedDict, collections.Counter, collections.defaultdict, object,
)  # fmt: skip
# With one of these a dataclass does something: it stays where it is, and is asked.
DOES = {"__call__", "__len__", "__iter__", "__next__", "__getitem__", "__contains__", "__bool__", "__enter__"}
MAX_FIELDS = 200


def own_names(kind):
    """The public names that the bodies of a class and its bases give, up to the first of LIBRARY."""
    found = set()
    for cls in kind.__mro__:
        if cls in LIBRARY:
            break
        found |= {name for name in vars(cls) if not name.startswith("_") or name in DOES}
    return found


@functools.lru_cache(maxsize=256)
def has_methods(kind):
    """Whether a class below a list, dict, set or deque has methods or attributes of its own, such as a cache's."""
    return bool(own_names(kind) - DOES)


@functools.lru_cache(maxsize=256)
def layout(kind):
    """[name, fields, frozen, eq, order] of a dataclass that only holds values; None for any other class."""
    if not dataclasses.is_dataclass(kind):
        return None
    fields = [field.name for field in dataclasses.fields(kind)]
    if own_names(kind) - set(fields):
        return None
    settings = kind.__dataclass_params__
    return [kind.__name__, fields, settings.frozen, settings.eq, settings.order]


@functools.lru_cache(maxsize=256)
def dataclass_like(name, fields, frozen, eq, order):
    """A dataclass of that layout. Raises WireError where there can be none."""
    if len(fields) > MAX_FIELDS or any(field.startswith("__") for field in fields):
        raise WireError("a record with fields that it cannot have")
    made = dataclasses.make_dataclass(clean(name), fields, frozen=frozen, eq=eq, order=order)
    made.__module__ = "__test__"  # a test may hand it on, see lending.py
    return made


@functools.lru_cache(maxsize=256)
def tuple_like(name, fields):
    """A namedtuple of those fields. Raises WireError where there can be none."""
    if len(fields) > MAX_FIELDS:
        raise WireError("a tuple with too many names")
    return collections.namedtuple(clean(name), fields)
