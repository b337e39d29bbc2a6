"""Mutants around a reference: slips that no small edit makes, where the arguments and results can show them.

What a function is given and returns is found by running its tests with a recorder around the reference. The slips
themselves: slips.py.
"""

import ast
import contextlib
import json
import os
import re

from autograder.scoring import limit_this_process

from . import slips
from .mutants import Mutant

ARRAY = re.compile(r"(float|int|uint|bool)\d* \d+")
MUTABLE = re.compile(r"(list|dict) of |(set|deque)$|(float|int|uint|bool)\d* \d+$")
CONTAINER = re.compile(r"(list|tuple|dict) of ")
LARGE = re.compile(r"bytes|flops")  # counts that leave 32 bits


def wrappers(name, source, kinds, tests):
    """Every wrapper mutant of the exercise `name`. kinds: of `recorded_kinds`. tests: the text of its test cells."""
    tree = ast.parse(source)
    node = next((n for n in tree.body if getattr(n, "name", "") == name), None)
    if isinstance(node, ast.ClassDef):
        made = kinds.get(f"{name}.__init__", {})
        for attribute in sorted(set(attributes_of(node))):
            if not any(MUTABLE.match(kind) for kind in made.get(f"self.{attribute}", [])):
                continue
            yield wrapper(source, f"{name}", f"self.{attribute} shared", f"shared_state({name}, {attribute!r})")
        for method in methods_of(node):
            target = f"{name}.{method.name}"
            yield from around(source, target, method, kinds.get(target, {}), tests, ast.unparse(method))
    elif isinstance(node, ast.FunctionDef):
        yield from around(source, name, node, kinds.get(name, {}), tests, source)


def wrapper(source, target, what, call):
    text = f"{source}\n\nfrom autograder.auditor import slips\n\n{target} = slips.{call}\n"
    return Mutant("wrapper", f"{target} => {what}", text)


def methods_of(node):
    for part in node.body:
        plain = isinstance(part, ast.FunctionDef) and not part.decorator_list
        if plain and (not part.name.startswith("_") or part.name in ("__init__", "__call__")):
            yield part


def attributes_of(node):
    """Names of `self.name = …` in __init__."""
    for method in methods_of(node):
        if method.name == "__init__":
            for part in ast.walk(method):
                if isinstance(part, ast.Attribute) and isinstance(part.ctx, ast.Store) and "self" in ast.unparse(part):
                    yield part.attr


def around(source, target, node, kinds, tests, text):
    """The wrappers of one function or method."""
    returned = kinds.get("return", [])

    def make(what, call):
        return wrapper(source, target, what, call)

    if any("float" in kind for kind in returned):
        yield make("result rounded to 4 decimals", f"rounded({target})")
        yield make("result through float16", f"through_float16({target})")
        if any(re.search(r"\bfloat\b|float64", kind) for kind in returned):
            yield make("result in float32", f"to_float32({target})")
    if "int" in returned and "while " in text:
        yield make("gives up at 10000", f"gives_up({target})")
    if "int" in returned and LARGE.search(target):
        yield make("result through int32", f"through_int32({target})")
    options = node.args.args[len(node.args.args) - len(node.args.defaults) :] + node.args.kwonlyargs
    for option in options:
        yield make(f"{option.arg} ignored", f"ignored({target}, {option.arg!r})")
    named = [arg.arg for arg in (*node.args.args, *node.args.kwonlyargs) if arg.arg != "self"]
    for name in named:
        yield from of_argument(make, target, name, kinds.get(name, []), text)
    if "." not in target and named:
        yield from caches(make, target, named, kinds)
    if "tracemalloc" in tests and not target.endswith("__init__"):
        yield make("64 MB on the way", f"temporary({target})")
        yield make("computed by torch", f"through_torch({target})")


def of_argument(make, target, name, kinds, text):
    arrays = [kind for kind in kinds if ARRAY.fullmatch(kind)]
    floats = [kind for kind in arrays if kind.startswith("float")]
    if "changes" not in kinds and (arrays or any(kind.startswith(("list", "dict")) for kind in kinds)):
        yield make(f"{name} changed in place", f"changes_input({target}, {name!r})")
    if floats:
        yield make(f"{name} through float16", f"arguments_in_float16({target}, {name!r})")
    if (floats or "float" in kinds) and re.search(r"\bnan\b|NaN|isfinite|isnan", text):
        yield make(f"NaN in {name} taken for 0", f"no_nan({target}, {name!r})")
    if name.endswith("ids"):
        yield make(f"{name} through int16", f"ids_in_int16({target}, {name!r})")
    most = max((int(kind.split()[1]) for kind in arrays), default=0)
    for axis in range(most if most > 1 else 0):
        for index, which in ((0, "first"), (-1, "last")):
            call = f"one_of_axis({target}, {name!r}, {axis}, {index})"
            yield make(f"only the {which} of axis {axis} of {name}", call)


def caches(make, target, named, kinds):
    """Answers remembered by too little: by shapes and lengths, or by one number of several."""
    plain = ("int", "float", "str", "bool", "NoneType", "changes")
    seen = {kind for name in named for kind in kinds.get(name, [])}
    known = all(kind in plain or ARRAY.fullmatch(kind) or CONTAINER.match(kind) for kind in seen)
    if known and any(ARRAY.fullmatch(kind) for kind in seen):
        yield make("cached by shapes and lengths", f"cached({target}, {named!r})")
    elif len(named) > 1 and seen <= set(plain):
        for name in (named[0], named[-1]):
            yield make(f"cached by {name}", f"cached({target}, {[name]!r})")


class Recorder:
    """Runs an exercise's tests with recorders around its function or methods; for a forked child."""

    def __init__(self, topic, name):
        self.topic, self.name, self.logs = topic, name, {}

    def run(self):
        """{target: {argument or "return": [kinds]}}."""
        space, _ = self.topic.define({})
        thing = space.get(self.name)
        if isinstance(thing, type):
            node = ast.parse(self.topic.exercises[self.name]["solution"].source)
            node = next(n for n in node.body if getattr(n, "name", "") == self.name)
            for method in methods_of(node):
                log = self.logs.setdefault(f"{self.name}.{method.name}", [])
                setattr(thing, method.name, slips.recorded(getattr(thing, method.name), log))
        elif thing is not None:
            space[self.name] = slips.recorded(thing, self.logs.setdefault(self.name, []))
        for part in ("test", "hidden"):
            self.topic.run_test(self.topic.exercises[self.name][part], space)
        return {target: sorted_kinds(log) for target, log in self.logs.items()}


def sorted_kinds(log):
    found = {}
    for name, kind in log:
        found.setdefault(name, set()).add(kind)
    return {name: sorted(kinds) for name, kinds in found.items()}


def recorded_kinds(topic, name):
    """What the recorder of one exercise saw, by a forked child with limits."""
    read_end, write_end = os.pipe()
    pid = os.fork()
    if pid == 0:
        os.close(read_end)
        with contextlib.suppress(BaseException):
            limit_this_process(60)
            with os.fdopen(write_end, "wb") as pipe:
                pipe.write(json.dumps(Recorder(topic, name).run()).encode())
        os._exit(0)
    os.close(write_end)
    with os.fdopen(read_end, "rb") as pipe:
        text = pipe.read()
    os.waitpid(pid, 0)
    return json.loads(text) if text else {}
