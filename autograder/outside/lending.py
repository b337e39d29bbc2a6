"""What an object that a test hands to a student's function answers: a list for each class, and nothing beside it.

A class of a test or set-up cell says it in its own body: `lends = ("config", "new_cache")`; the special methods that
the body itself defines (`__call__`, `__len__`) need no mention, and a dataclass lends its fields. The engine's classes
stand in ENGINE. What is inherited from a library is never lent unless it is named.
"""

import collections
import dataclasses
import functools
import types

import numpy as np

TEST_MODULES = {"__test__", "__main__"}  # test cells and set-up cells
ENGINE = {
    "Llama": "__call__ config device dtype eval hidden_states lm_head new_cache takes_ragged_rows",
    "Linear": "__call__ weight",
    "KVCache": "advance batch check_room k length max_tokens num_bytes positions truncate update v",
    "PagedKVCache": "advance begin block_bytes block_size copy_blocks keys num_blocks positions update values",
    "BlockManager": "allocate check_invariants fork free num_blocks num_free_blocks refcounts",
    "Scheduler": "abort add block_manager block_size check_invariants has_unfinished max_num_batched_tokens "
    "max_num_seqs num_available_blocks running step update waiting",
    "NgramDraft": "max_n min_n num_draft_tokens propose release",
    "ModelDraft": "num_draft_tokens propose release",
}
OF_ITERATOR = frozenset(("__iter__", "__next__"))
OF_VIEW = frozenset(("__iter__", "__len__", "__contains__", "__reversed__"))
ITERATORS = tuple(
    {type(iter(made)) for made in ([], (), {}, {}.items(), {}.values(), set(), "", b"", range(0), bytearray())}
    | {zip, map, filter, enumerate, reversed}
)
VIEWS = (type({}.keys()), type({}.values()), type({}.items()))
BUILTIN_METHODS = (types.BuiltinFunctionType, types.MethodWrapperType)
CALLABLE = (types.FunctionType, types.MethodType, *BUILTIN_METHODS, functools.partial, type)
PLAIN_OWNERS = (list, dict, set, collections.deque, str, np.ndarray)


def home(value):
    """The first part of the name of the module that a class or function is from."""
    return str(getattr(value, "__module__", "")).split(".")[0]


def is_course_code(value):
    return home(value) in TEST_MODULES or home(value) == "mini_engine"


def answers_of(value):
    """The names that a lent object answers, as a frozenset; None where it must not be lent at all."""
    kind = type(value)
    if isinstance(value, CALLABLE):
        return frozenset(("__call__",)) if may_call(value) else None
    if kind is types.GeneratorType:
        return OF_ITERATOR | {"close", "send"}
    if kind in ITERATORS or home(kind) == "itertools":
        return OF_ITERATOR
    if kind in VIEWS:
        return OF_VIEW
    if kind is types.SimpleNamespace:
        return frozenset(name for name in vars(value) if not name.startswith("_"))
    return answers_of_class(kind)


def may_call(value):
    """Whether a function, method or class is the course's, or a method of plain data."""
    if isinstance(value, functools.partial):
        return isinstance(value.func, CALLABLE) and may_call(value.func)
    if isinstance(value, types.MethodType):
        owner = value.__self__ if isinstance(value.__self__, type) else type(value.__self__)
        return is_course_code(owner) and is_course_code(value.__func__)
    if isinstance(value, BUILTIN_METHODS):
        owner = type(getattr(value, "__self__", None))
        return owner in ITERATORS or issubclass(owner, PLAIN_OWNERS)
    return is_course_code(value)


@functools.cache
def answers_of_class(kind):
    """The names that instances of a course's class answer; None where the class has no list."""
    found, is_listed = set(), False
    for cls in kind.__mro__:
        if cls.__module__ in TEST_MODULES:
            body = vars(cls)
            listed = body.get("lends")
            is_listed = is_listed or listed is not None or dataclasses.is_dataclass(cls)
            found |= set(listed or ()) | {name for name in body if name.startswith("__")}
            found |= {field.name for field in dataclasses.fields(cls)} if dataclasses.is_dataclass(cls) else set()
        elif home(cls) == "mini_engine" and cls.__name__ in ENGINE:
            is_listed = True
            found |= set(ENGINE[cls.__name__].split())
    return frozenset(found) if is_listed else None
