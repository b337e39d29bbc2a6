"""What a test asked of the student's code last, in words that hold no value: names of the test's own, and kinds."""

import dataclasses
import itertools
import sys

import numpy as np

MAX_SHOWN, LOOKED_AT = 6, 20  # arguments of a call, parts of a list
MAX_CHARS = 300
SPECIALS = {"__next__": "the next item of", "__iter__": "a loop over", "__len__": "the length of"}


class Tried:
    """The last question of a test cell. `names` knows what was found by a name of the test's, and what it made."""

    def __init__(self):
        self.names = {}
        self.start()

    def start(self):
        """A new test cell begins."""
        self.words, self.gave, self.error = "", "", None

    def asked(self, question, arguments, named):
        kind, name = question["op"], question.get("name", "")
        owner, self.error = self.names.get(question.get("on"), "an object of yours"), None
        if kind == "call":
            self.words = f"{owner}({kinds_of(arguments, named)})"
        elif kind == "invoke":
            self.words = f"{owner}.{name}({kinds_of(arguments, named)})"
        elif kind in ("get", "set"):
            self.words = f"{owner}.{name}"
        elif kind == "special":
            self.words = f"{SPECIALS.get(name, name.strip('_') + ' of')} {owner}"
        self.words = self.words[:MAX_CHARS]

    def answered(self, question, found, number):
        """number: that of a student's object where one came back."""
        self.gave = ", which is None," if found is None else ""
        if question["op"] == "call" and number is not None and question["on"] in self.names:
            self.names.setdefault(number, self.names[question["on"]].partition(" ")[0])

    def sentence(self, reason):
        """How the feedback goes on after "your code raises TypeError" or "it cannot go on"; "" where it says enough."""
        if not self.words or not reason:
            return ""
        if self.error == reason:
            return f"when the check tries {self.words}"
        # what a test says itself, and a name that the student did not define
        if reason.startswith(("AssertionError", "NameError")):
            return ""
        return f"with what {self.words} gives back{self.gave}"


def kinds_of(arguments, named):
    shown = [kind_of(value) for value in arguments]
    shown += [f"{name}={kind_of(value)}" for name, value in (named or {}).items()]
    return ", ".join(shown[:MAX_SHOWN] + ["…"] * (len(shown) > MAX_SHOWN))


def kind_of(value):
    """A value of a test's in words, without anything that the student's code could have chosen."""
    torch, kind = sys.modules.get("torch"), type(value)
    if value is None:
        return "None"
    if isinstance(value, np.ndarray):
        return f"{value.dtype} array with {axes(value.ndim)}"
    if torch is not None and isinstance(value, torch.Tensor):
        return f"{str(value.dtype).removeprefix('torch.')} tensor with {axes(value.ndim)}"
    if kind in (list, tuple, set):
        parts = {part_kind(part) for part in itertools.islice(value, LOOKED_AT)}
        return f"{kind.__name__} of {parts.pop()}" if len(parts) == 1 else kind.__name__
    return part_kind(value)


def axes(count):
    return "1 axis" if count == 1 else f"{count} axes"


def part_kind(value):
    kind = type(value)
    for base in (bool, int, float, str, bytes, dict, list, tuple, set):
        if issubclass(kind, base):
            return base.__name__
    own = getattr(kind, "__module__", "").split(".")[0] in ("mini_engine", "numpy", "torch")
    toy = kind.__module__ in ("__test__", "__main__") and not dataclasses.is_dataclass(kind)
    return kind.__name__ if own or toy else "function" if callable(value) else "object"
