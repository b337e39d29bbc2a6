"""Exceptions cross by name, classes and message; one that went over and comes back is the very same again."""

import sys

from .names import clean, look_up
from .wire import WireError

SIMPLE = (str, int, float, bool, type(None))  # what an exception's arguments may be
EXCEPTION_HOMES = ("mini_engine", "numpy", "json")


def coded(hub, error):
    """[number, name, its classes, its arguments]; one that came from the other side goes back as its number."""
    given = getattr(error, "course_number", None)
    if type(given) is int:
        return [given]
    places = [f"{cls.__module__}.{cls.__qualname__}" for cls in type(error).__mro__]
    try:
        arguments = [value if type(value) in SIMPLE else str(value) for value in error.args]
        text = str(error)
        plain = arguments if str(type(error)(*arguments)) == text else [text]
    except Exception:  # the student's own classes may do anything here
        plain = [str(value) for value in error.args if type(value) is str][:1]
    number = None
    if hub.is_trusted:
        number = len(hub.raised) + 1
        hub.raised[number] = error
    return [number, type(error).__name__, places, plain]


def decoded(hub, found):
    """The exception to raise for a coded one."""
    if not isinstance(found, list) or len(found) not in (1, 4):
        raise WireError("an exception that cannot be read")
    number = found[0]
    if len(found) == 1:
        if not hub.is_trusted or type(number) is not int or number not in hub.raised:
            raise WireError("no such exception was raised")
        return hub.raised[number]
    _, name, places, arguments = found
    if not isinstance(arguments, list) or not all(type(value) in SIMPLE for value in arguments):
        raise WireError("an exception with arguments that cannot cross")
    try:
        error = class_of(name, places, hub.is_trusted)(*arguments)
    except Exception:
        error = type(clean(name), (Exception,), {})(*arguments[-1:])
    if not hub.is_trusted:
        error.course_number = number
    return error


def class_of(name, places, is_trusted):
    """The class to raise: itself where it is known on this side, else a new one below its nearest known base.

    What is no Exception (SystemExit, KeyboardInterrupt) is one of that name here: it ends nothing but the call.
    """
    for place in places if isinstance(places, list) else []:
        module, _, qualname = place.rpartition(".") if isinstance(place, str) else ("", "", "")
        root = module.split(".")[0]
        if is_trusted and root != "builtins" and (root not in EXCEPTION_HOMES or module not in sys.modules):
            continue
        try:
            base = look_up(module, qualname, trusted=False)
        except WireError:
            continue
        if not (isinstance(base, type) and issubclass(base, Exception)):
            continue
        if not is_trusted or base.__module__.split(".")[0] in ("builtins", *EXCEPTION_HOMES):
            return base if base.__name__ == name else type(clean(name), (base,), {})
    return type(clean(name), (Exception,), {})
