"""Lists, dicts, sets, deques and records on both sides: how their parts are read, compared and renewed.

Always by the methods of the plain type: a class below it may redefine them.
"""

import collections
import dataclasses
import sys

from .names import check_field
from .wire import WireError

PLAIN = (collections.OrderedDict, dict, list, set, collections.deque)  # the first that fits


def plain_base(kind):
    """The plain type that a class is or stands below, None for a record."""
    return next((base for base in PLAIN if issubclass(kind, base)), None)


class Container:
    """A list, dict, set, deque or a record; `snapshot` is what the other side has."""

    def __init__(self, value):
        self.value, self.base = value, plain_base(type(value))
        self.snapshot = self.contents()

    def contents(self):
        """Its parts in a flat list: keys and values of a dict in turn, names and values of a record."""
        value, base = self.value, self.base
        if base is dict:
            return [part for pair in dict.items(value) for part in pair]
        if base is collections.OrderedDict:  # its order is its own, not that of the dict below it
            return [part for key in base.__iter__(value) for part in (key, dict.__getitem__(value, key))]
        if base is not None:
            return list(base.__iter__(value))
        if hasattr(value, "__dict__"):
            return [part for pair in vars(value).items() for part in pair]
        names = [field.name for field in dataclasses.fields(value) if hasattr(value, field.name)]
        return [part for name in names for part in (name, getattr(value, name))]

    def changed(self):
        now, before = self.contents(), self.snapshot
        if len(now) == len(before) and all(map(is_same, now, before)):
            return False
        self.snapshot = now
        return True

    def replace(self, parts):
        value, base = self.value, self.base
        if base is None:
            self.replace_fields(pairs_of(parts))
        elif base is list:
            list.__setitem__(value, slice(None), parts)
        elif base in (set, collections.deque):
            base.clear(value)
            set.update(value, parts) if base is set else base.extend(value, parts)
        else:
            pairs = pairs_of(parts)
            base.clear(value)
            for key, part in pairs:
                base.__setitem__(value, key, part)
        self.snapshot = self.contents()

    def replace_fields(self, pairs):
        for name, _ in pairs:
            check_field(type(self.value), name)
        if hasattr(self.value, "__dict__"):
            vars(self.value).clear()
            vars(self.value).update(pairs)
            return
        for name, part in pairs:
            object.__setattr__(self.value, name, part)

    def is_ours_alone(self):
        return sys.getrefcount(self.value) <= 2


def is_same(a, b):
    return a is b


def pairs_of(parts):
    if len(parts) % 2:
        raise WireError("a dict with a key and no value")
    return list(zip(parts[::2], parts[1::2], strict=True))
