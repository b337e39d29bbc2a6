"""Slips that no small edit of a reference makes, as functions around it: they run in the answer's process.

Each takes a function (or a method) and returns it with one slip; wrappers.py says which are tried where.
"""

import functools
import inspect
from collections import deque

import numpy as np

ENOUGH = 10_000  # where a search gives up
TEMPORARY_BYTES = 64 << 20
held = []  # keeps a temporary from being freed unread


def is_float(value):
    return isinstance(value, float | np.floating) or isinstance(value, np.ndarray) and value.dtype.kind == "f"


def is_int(value):
    if isinstance(value, np.ndarray):
        return value.dtype.kind in "iu"
    return isinstance(value, int | np.integer) and not isinstance(value, bool)


def mapped(value, wanted, change):
    """The value with `change` made on every number or array in it that is wanted; what is not plain data stays."""
    if wanted(value):
        return change(value)
    if isinstance(value, dict):
        return type(value)({key: mapped(item, wanted, change) for key, item in value.items()}) if value else value
    if isinstance(value, list):
        return [mapped(item, wanted, change) for item in value]
    if isinstance(value, tuple):
        items = [mapped(item, wanted, change) for item in value]
        return type(value)(*items) if hasattr(value, "_fields") else tuple(items)
    return value


def like(value, new):
    return new if isinstance(value, np.ndarray | np.generic) else new.item()


def result_slip(wanted, change):
    def slip(function):
        @functools.wraps(function)
        def wrapped(*args, **kwargs):
            return mapped(function(*args, **kwargs), wanted, change)

        return wrapped

    return slip


rounded = result_slip(is_float, lambda x: like(x, np.round(x, 4)))
to_float32 = result_slip(is_float, lambda x: like(x, np.asarray(x).astype(np.float32)[()]))
through_float16 = result_slip(is_float, lambda x: like(x, half(x)))
through_int32 = result_slip(is_int, lambda x: like(x, wrap(x, np.int32)))
gives_up = result_slip(is_int, lambda x: np.minimum(x, ENOUGH) if isinstance(x, np.ndarray) else min(x, ENOUGH))


def half(x):
    with np.errstate(all="ignore"):
        return np.asarray(x).astype(np.float16).astype(np.asarray(x).dtype)[()]


def without_nan(x):
    return like(x, np.where(np.isnan(x), 0, x)[()])


def wrap(x, dtype):
    """An integer held in too few bits."""
    if not isinstance(x, np.ndarray):
        x = np.int64(int(x) & (2**63 - 1))
    return x.astype(dtype).astype(x.dtype)[()]


def argument_slip(make):
    """A slip on one argument, by its name: `make(value, default)` is what the function gets in its place."""

    def slip(function, name):
        signature = inspect.signature(function)
        default = signature.parameters[name].default

        @functools.wraps(function)
        def wrapped(*args, **kwargs):
            try:
                bound = signature.bind(*args, **kwargs)
            except TypeError:
                return function(*args, **kwargs)
            if name in bound.arguments:
                bound.arguments[name] = make(bound.arguments[name], default)
            return function(*bound.args, **bound.kwargs)

        return wrapped

    return slip


ignored = argument_slip(lambda value, default: default)
no_nan = argument_slip(lambda value, default: mapped(value, is_float, without_nan))
ids_in_int16 = argument_slip(lambda value, default: mapped(value, is_int, lambda x: like(x, wrap(x, np.int16))))
arguments_in_float16 = argument_slip(
    lambda value, default: mapped(value, lambda x: isinstance(x, np.ndarray) and is_float(x), half)
)


def one_of_axis(function, name, axis, index):
    """Every entry along an axis of one array is taken for the first (index 0) or the last (index -1)."""

    def same(x, _=None):
        if isinstance(x, np.ndarray) and x.ndim > axis and x.shape[axis]:
            return np.array(np.broadcast_to(np.take(x, [index], axis), x.shape))
        return x

    return argument_slip(same)(function, name)


def changes_input(function, name):
    """The argument's own array, list or dict is changed, after the answer is known."""
    signature = inspect.signature(function)

    @functools.wraps(function)
    def wrapped(*args, **kwargs):
        result = function(*args, **kwargs)
        value = signature.bind(*args, **kwargs).arguments.get(name)
        result = mapped(result, lambda x: isinstance(x, np.ndarray), np.copy)
        if isinstance(value, np.ndarray) and value.flags.writeable:
            value[...] = 0 if value.any() else 1
        elif isinstance(value, list) and value is not result:
            value.append(value[0] if value else 0)
        elif isinstance(value, dict) and value is not result and value:
            value.pop(next(iter(value)))
        return result

    return wrapped


def cached(function, by):
    """Answers are remembered by the arguments named in `by`; an array counts by its shape, a list by its length."""
    signature = inspect.signature(function)
    known = {}

    def coarse(value):
        if isinstance(value, np.ndarray):
            return value.shape, value.dtype.str
        if isinstance(value, list | tuple | dict):
            return type(value).__name__, len(value)
        return value if isinstance(value, int | float | str | bool | None) else id(value)

    @functools.wraps(function)
    def wrapped(*args, **kwargs):
        bound = signature.bind(*args, **kwargs)
        key = tuple(coarse(bound.arguments.get(name)) for name in by)
        if key not in known:
            known[key] = function(*args, **kwargs)
        return known[key]

    return wrapped


def temporary(function):
    """A large array is made on the way."""

    @functools.wraps(function)
    def wrapped(*args, **kwargs):
        held.append(np.ones(TEMPORARY_BYTES // 8))
        held.clear()
        return function(*args, **kwargs)

    return wrapped


def through_torch(function):
    """The arrays become tensors, whose memory tracemalloc does not see."""
    import torch

    @functools.wraps(function)
    def wrapped(*args, **kwargs):
        args, kwargs = mapped(
            (args, kwargs), lambda x: isinstance(x, np.ndarray), lambda x: torch.from_numpy(x).numpy()
        )
        return function(*args, **kwargs)

    return wrapped


def shared_state(cls, attribute):
    """Objects share a list, dict or array that an earlier one of the same size put into an attribute."""
    start, known = cls.__init__, {}

    @functools.wraps(start)
    def wrapped(self, *args, **kwargs):
        start(self, *args, **kwargs)
        own = vars(self).get(attribute)
        if isinstance(own, list | dict | set | deque | np.ndarray):
            setattr(self, attribute, known.setdefault((type(own), np.shape(own) or len(own)), own))

    cls.__init__ = wrapped
    return cls


def recorded(function, log):
    """The function, whose calls leave in `log` what kinds of arguments and results they saw."""
    signature = inspect.signature(function)

    @functools.wraps(function)
    def wrapped(*args, **kwargs):
        given = {}
        try:
            given = signature.bind(*args, **kwargs).arguments
            before = {name: frozen(value) for name, value in given.items()}
        except TypeError:
            return function(*args, **kwargs)
        result = function(*args, **kwargs)
        for name, value in given.items():
            log.append((name, kind_of(value)))
            if before[name] != frozen(value):
                log.append((name, "changes"))
        log.append(("return", kind_of(result)))
        if function.__name__ == "__init__":
            log.extend((f"self.{name}", kind_of(value)) for name, value in vars(args[0]).items())
        return result

    return wrapped


def frozen(value):
    if isinstance(value, np.ndarray):
        return value.tobytes()
    return repr(value) if isinstance(value, list | dict) else None


def kind_of(value):
    """A word for what a value is: "float64 3" is an array with three axes."""
    if isinstance(value, np.ndarray):
        return f"{value.dtype} {value.ndim}"
    if isinstance(value, list | tuple | dict):
        inside = value.values() if isinstance(value, dict) else value
        return f"{type(value).__name__} of {' '.join(sorted({kind_of(item) for item in inside}))}"
    return type(value).__name__
