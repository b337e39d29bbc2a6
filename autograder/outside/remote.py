"""Objects that stay where they are: the other side has a Remote, whose calls and attributes are asked of the owner."""

import itertools
import threading
import weakref

from . import names
from .wire import WireError

# What Python asks of an object's type; a Remote has those that the type of the original has.
SPECIAL = (
    "__call__", "__len__", "__iter__", "__next__", "__getitem__", "__setitem__", "__delitem__", "__contains__",
    "__bool__", "__enter__", "__exit__", "__reversed__", "__index__", "__float__", "__int__",
)  # fmt: skip
MAX_OBJECTS = 200_000


class Remote:
    """An object of the other side. Equal to itself only; its text names its class and nothing else."""

    def __getattr__(self, name):
        if name.startswith("__"):
            raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}")
        fields = object.__getattribute__(self, "__dict__")
        if name in fields["methods"]:
            return remote_method(self, name)
        return fields["hub"].peer().attribute(self, name)

    def __setattr__(self, name, value):
        fields = object.__getattribute__(self, "__dict__")
        fields["hub"].peer().ask({"op": "set", "on": fields["number"], "name": name}, [value])

    def __repr__(self):
        return f"<{type(self).__name__} object>"

    def __del__(self):
        fields = object.__getattribute__(self, "__dict__")
        if "hub" in fields:
            fields["hub"].released.append((fields["number"], fields["received"]))

    @property
    def __class__(self):
        fields = object.__getattribute__(self, "__dict__")
        return fields.get("known_class") or type(self)


def special_method(name):
    def method(self, *arguments):
        fields = object.__getattribute__(self, "__dict__")
        return fields["hub"].peer().ask({"op": "special", "on": fields["number"], "name": name}, arguments)

    method.__name__ = name
    return method


def call_method(self, /, *arguments, **named):
    fields = object.__getattribute__(self, "__dict__")
    return fields["hub"].peer().ask({"op": "call", "on": fields["number"]}, arguments, named)


METHODS = {name: special_method(name) for name in SPECIAL} | {"__call__": call_method}


def remote_method(remote, name):
    """A method of a Remote: one question instead of two."""

    def method(*arguments, **named):
        fields = object.__getattribute__(remote, "__dict__")
        return fields["hub"].peer().ask({"op": "invoke", "on": fields["number"], "name": name}, arguments, named)

    method.__name__ = method.__qualname__ = name
    return method


class Hub:
    """What one side lends to the other, and what it has borrowed; shared by its connections."""

    def __init__(self, is_trusted, connect=None):
        self.is_trusted, self.connect = is_trusted, connect
        self.lent, self.numbers, self.count = {}, {}, itertools.count(1)
        self.borrowed = weakref.WeakValueDictionary()
        self.classes, self.methods, self.kinds = {}, {}, {}
        self.released = []
        self.raised = {}
        self.lock = threading.RLock()
        self.local = threading.local()

    def peer(self):
        """The connection of this thread; a thread of the student's gets one of its own."""
        found = getattr(self.local, "peer", None)
        if found is None:
            if self.connect is None:
                raise WireError("this thread of the test has no connection to the student's process")
            found = self.local.peer = self.connect()
        return found

    def is_remote(self, value):
        return issubclass(type(value), Remote)

    def reference(self, value):
        """The coded reference to an object: to one of theirs as "ours", to one that stays here as "theirs"."""
        if self.is_remote(value):
            return ["ours", object.__getattribute__(value, "__dict__")["number"]]
        self.check_lending(value)
        with self.lock:
            number = self.numbers.get(id(value))
            if number is None:
                if len(self.lent) > MAX_OBJECTS:
                    raise WireError("too many objects at a time")
                number = next(self.count)
                self.lent[number], self.numbers[id(value)] = [value, 0], number
            self.lent[number][1] += 1
        kind = type(value)
        place = names.name_of(kind, self.is_trusted)
        found = self.specials(value)
        shown = value if isinstance(value, type) else kind
        shown_as = shown.__name__ if isinstance(shown.__name__, str) else "Object"
        return [
            "theirs",
            number,
            self.kinds.setdefault(kind, len(self.kinds)),
            kind.__name__,
            found,
            list(place or []),
            shown_as,
        ]

    def specials(self, value):
        """The special methods that a Remote for this object has."""
        return [name for name in SPECIAL if any(vars(cls).get(name) is not None for cls in type(value).__mro__)]

    def check_lending(self, value):
        """The tester's side overrides this: what may be lent to a student's process."""

    def original(self, number):
        """The lent object of that number, given back."""
        if type(number) is not int or number not in self.lent:
            raise WireError("no such object was lent")
        return self.lent[number][0]

    def take_back(self, released):
        """The other side has let go of objects: (number, how often it was given)."""
        with self.lock:
            for number, times in released:
                entry = self.lent.get(number)
                if entry is None or type(times) is not int or times < 1:
                    raise WireError("no such object was lent")
                entry[1] -= times
                if entry[1] <= 0:
                    del self.lent[number], self.numbers[id(entry[0])]

    def remote(self, number, kind, name, special, place, shown):
        """The Remote for an object of the other side: the same one as long as it lives."""
        if (
            type(number) is not int
            or type(kind) is not int
            or not isinstance(special, list)
            or not set(special) <= set(SPECIAL)
        ):
            raise WireError("a reference that cannot be")
        with self.lock:
            found = self.borrowed.get(number)
            if found is None:
                if len(self.borrowed) > MAX_OBJECTS:
                    raise WireError("too many objects at a time")
                cls = self.class_of(names.clean(name), tuple(sorted(special)))
                found = object.__new__(cls)
                fields = object.__getattribute__(found, "__dict__")
                fields.update(hub=self, number=number, received=0, known_class=self.known_class(place))
                fields["methods"] = self.methods.setdefault(kind, set())
                fields["__name__"] = names.clean(shown)
                self.borrowed[number] = found
            object.__getattribute__(found, "__dict__")["received"] += 1
        return found

    def class_of(self, kind, special):
        if (kind, special) not in self.classes:
            if len(self.classes) > 1000:
                kind = "Object"
            self.classes[kind, special] = type(kind, (Remote,), {name: METHODS[name] for name in special})
        return self.classes[kind, special]

    def known_class(self, place):
        """For isinstance: the class of the original, where both sides know it."""
        if not isinstance(place, list) or len(place) != 2 or str(place[0]).split(".")[0] != "mini_engine":
            return None
        try:
            found = names.look_up(*place, self.is_trusted)
        except WireError:
            return None
        return found if isinstance(found, type) else None
