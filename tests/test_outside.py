"""Marks are decided outside: values keep their meaning, lies do not pass, broken rules cost the one who breaks them."""

import collections
import contextlib
import fractions
import functools
import json
import math
import os
import random
import socket
import struct
import textwrap
import threading
import types
import warnings

import numpy as np
import pytest
import torch

from autograder.outside.agent import AgentPeer
from autograder.outside.policy import TesterHub, TesterPeer
from autograder.outside.remote import Hub
from autograder.outside.wire import LENGTHS, Channel, WireError
from mini_engine.block_manager import BlockManager, OutOfBlocks
from mini_engine.config import TINY
from mini_engine.scheduler import Scheduler
from mini_engine.sequence import SamplingParams, Sequence, Status


class Student:
    """Code of a student in a thread of this process, reached through sockets as a grader reaches it."""

    def __init__(self, source, folder):
        self.space = {"__name__": "__main__"}
        exec(textwrap.dedent(source), self.space)
        self.listener = socket.socket(socket.AF_UNIX)
        self.listener.bind(str(folder / "tester"))
        self.listener.listen()
        threading.Thread(target=self.serve, args=(str(folder / "tester"),), daemon=True).start()
        sock, _ = self.listener.accept()
        self.hub = TesterHub(self.listener)
        self.peer = self.hub.local.peer = TesterPeer(Channel(sock), self.hub)
        threading.Thread(target=self.hub.take_threads, daemon=True).start()

    def serve(self, path):
        def connect():
            sock = socket.socket(socket.AF_UNIX)
            sock.connect(path)
            return AgentPeer(Channel(sock), hub, self.space)

        hub = self.agent = Hub(is_trusted=False, connect=connect)
        with pytest.raises(BaseException):  # noqa: B017  it ends when the test closes the connection
            hub.peer().listen()

    def __getattr__(self, name):
        (found,) = self.peer.ask({"op": "find", "name": name})
        return found


@pytest.fixture
def student(tmp_path):
    made = []

    def make(source):
        made.append(Student(source, tmp_path))
        return made[-1]

    yield make
    for one in made:
        one.listener.shutdown(socket.SHUT_RDWR)
        one.listener.close()
        one.peer.channel.sock.shutdown(socket.SHUT_RDWR)
        one.peer.channel.close()


Point = collections.namedtuple("Point", "x y")
VALUES = [
    None, True, 7, -(2**200), 2**63, 0.1, -0.0, math.inf, "é\ud800\n", b"\x00\xff", 3 + 4j, ..., range(3, 30, 4),
    slice(1, None, 2), (1, (2, "a")), [1, [2, []]], {"a": [1], 2: None, (1, 2): 3.5}, {1, 2}, frozenset({3}),
    collections.deque([1, 2], maxlen=3), collections.OrderedDict(b=1, a=2), collections.Counter("aab"), Point(1, [2]),
    fractions.Fraction(1, 3), np.float32(0.1), np.int64(-5), np.bool_(True), np.str_("x"), np.dtype("float16"),
    np.arange(6.0).reshape(2, 3), np.arange(24).reshape(2, 3, 4).transpose(2, 0, 1)[::-1], np.zeros((0, 4), np.float32),
    np.array(5, np.uint8), np.array(["ab", "c"]), np.float16([1, np.nan]), np.array([None, 1], object),
    torch.arange(6.0).reshape(2, 3).T, torch.ones(3, dtype=torch.bfloat16), torch.tensor(2), torch.zeros(0, 2),
    torch.ones(2, requires_grad=True), torch.bfloat16, torch.device("cpu"), TINY, SamplingParams(max_tokens=3),
    Status.RUNNING, np, torch, int, np.float32, dict, OutOfBlocks, Sequence,
]  # fmt: skip


def same(a, b):
    if type(a) is not type(b):
        return False
    if isinstance(a, np.ndarray) and a.dtype != object:
        return a.dtype == b.dtype and a.shape == b.shape and a.tobytes() == b.tobytes()
    if isinstance(a, torch.Tensor):
        return a.dtype == b.dtype and a.requires_grad == b.requires_grad and a.shape == b.shape and bool((a == b).all())
    if isinstance(a, np.ndarray | list | tuple | collections.deque):
        return len(a) == len(b) and all(map(same, a, b))
    return repr(a) == repr(b) and (a == b or a != a)


@pytest.mark.parametrize("value", VALUES, ids=[f"{i}-{type(v).__name__}" for i, v in enumerate(VALUES)])
def test_values_cross_in_both_directions(student, value):
    made = student("def echo(x, *, type_name=None): return x\ndef kind(x): return type(x).__name__")
    got = made.echo(value)
    if isinstance(value, tuple) and hasattr(value, "_fields"):
        assert (tuple(got), got._fields) == (tuple(value), value._fields)
    else:
        assert same(got, value), f"{value!r} came back as {got!r}"
    assert isinstance(value, types.ModuleType) or made.kind(value) == type(value).__name__


def test_numbers_that_carry_attributes_keep_them(student):
    got = student("class N(int):\n    message = None\ndef f():\n    n = N(5)\n    n.message = 'why'\n    return n").f()
    assert isinstance(got, int) and got == 5 and got.message == "why"


ALIASES = """
    import numpy as np
    class Keeper:
        def keep(self, x): self.x = x
        def read(self): return self.x
    store = np.zeros((4, 3))
    def grow(x): x.append(len(x)); return x
    def double(x): x *= 2
    def part(x): return x[1:]
    def rows(n): return store[:n]
    def fill(v): store[:] = v
    def swap(d): d["new"] = d.pop("old"); d["list"].append(d)
    def draw(rng): return rng.random()
"""


def test_changes_in_place_are_seen_on_both_sides(student):
    made, given, array, tensor = student(ALIASES), [1, [2]], np.arange(4.0), torch.arange(3.0)
    assert made.grow(given) is given and given == [1, [2], 2]
    made.double(array)
    made.double(tensor)
    assert array.tolist() == [0, 2, 4, 6] and tensor.tolist() == [0, 2, 4]
    turned = np.arange(6).reshape(2, 3).T[::-1]
    made.double(turned)
    assert turned.tolist() == [[4, 10], [2, 8], [0, 6]]
    nested = {"old": 1, "list": []}
    made.swap(nested)
    assert nested["new"] == 1 and nested["list"][0] is nested


def test_what_is_kept_is_the_callers_own_object(student):
    made, given, array = student(ALIASES), [1], np.zeros(3)
    keeper = made.Keeper()
    keeper.keep(given)
    given.append(2)
    assert keeper.read() is given, "the student kept the caller's list and sees its changes"
    keeper.keep(array)
    array[:] = 7
    assert keeper.read().tolist() == [7, 7, 7] and np.shares_memory(keeper.read(), array)


def test_views_are_views(student):
    made, array = student(ALIASES), np.arange(5.0)
    part = made.part(array)
    part[0] = 9
    assert array[1] == 9, "a view of an argument is one at once, without another call"
    first, both = made.rows(2), made.rows(4)
    assert np.shares_memory(first, both)
    made.fill(3)
    assert (first == 3).all()
    both[0] = 1
    assert made.rows(1).tolist() == [[1, 1, 1]]


def test_random_numbers_are_drawn_from_one_sequence(student):
    made, here, twin = student(ALIASES), np.random.default_rng(5), np.random.default_rng(5)
    got = [made.draw(here), here.random(), made.draw(here)]
    assert got == [twin.random() for _ in range(3)]
    plain, other = random.Random(3), random.Random(3)
    assert [made.draw(plain), plain.random()] == [other.random(), other.random()]


def test_what_nobody_holds_is_forgotten(student):
    made = student(ALIASES)
    for _ in range(50):
        made.part(np.ones(1000))
        made.grow([1])
        made.Keeper().keep([2])
    held = len(made.peer.shared.entries) + len(made.peer.shared.regions)
    assert held < 10 and len(made.agent.lent) < 10 and len(made.hub.borrowed) < 10


def ours(function):
    """The function as one of a test cell."""
    function.__module__ = "__test__"
    return function


OBJECTS = """
    from mini_engine.block_manager import BlockManager, OutOfBlocks
    class Own(Exception): pass
    class Cache:
        def __init__(self, n): self.n = n
        def __len__(self): return self.n
        def __getitem__(self, i): return i * self.n
        def __enter__(self): return self
        def __exit__(self, *_): self.n = 0
        @property
        def double(self): return 2 * self.n
    def count(n): yield from range(n)
    def apply(f, *x, **k): return f(*x, **k)
    def manager(): return BlockManager(3)
    def own(): raise Own("why")
    def key(): return {}["gone"]
    def take_all(m):
        got = []
        try:
            while True: got.append(m.allocate())
        except OutOfBlocks: return got
    def through(f):
        try: return f()
        except LookupError as error: raise error
    def leave(): raise SystemExit(3)
    def set_it(x, name, v): setattr(x, name, v)
    def get_it(x, name): return getattr(x, name)
    def step(scheduler, seq):
        scheduler.add(seq)
        rows = scheduler.step().rows
        seq.block_table.append(77)
        return rows
"""


def test_objects_answer_from_where_they_are(student):
    made = student(OBJECTS)
    cache = made.Cache(4)
    assert len(cache) == 4 and cache[2] == 8 and cache.double == 8 and bool(cache) and not callable(cache)
    with cache as inner:
        assert inner is cache
    assert cache.n == 0 and not cache
    assert list(made.count(3)) == [0, 1, 2] and isinstance(made.manager(), BlockManager)
    assert made.manager().refcounts == [0, 0, 0]
    with pytest.raises(AttributeError, match="nothing"):
        cache.nothing  # noqa: B018
    assert repr(cache) == "<Cache object>" and cache != made.Cache(4)


def test_calls_go_back_and_forth(student):
    made, seen = student(OBJECTS), []

    @ours
    def here(x, y=1):
        seen.append(x)
        return made.apply(ours(lambda z: z + 1), x) * y if x < 3 else here(x - 1, y)

    assert made.apply(here, 4, y=5) == 15 and seen == [4, 3, 2]


def test_engine_objects_serve_both_sides(student):
    made, manager = student(OBJECTS), BlockManager(3)
    assert made.take_all(manager) == [0, 1, 2] and manager.num_free_blocks == 0
    seq = Sequence(5, [1, 2, 3])
    (row,) = made.step(Scheduler(BlockManager(8), 4), seq)
    assert row.seq is seq and row.num_new_tokens == 3 and seq.status is Status.RUNNING
    assert seq.block_table[-1] == 77, "a record's list is the same on both sides"


def test_exceptions_keep_their_type_and_text(student):
    made = student(OBJECTS)
    with pytest.raises(KeyError) as caught:
        made.key()
    assert caught.value.args == ("gone",)
    with pytest.raises(Exception, match="why") as caught:
        made.own()
    assert type(caught.value).__name__ == "Own"
    with pytest.raises(Exception, match="3") as caught:
        made.leave()
    assert type(caught.value).__name__ == "SystemExit" and not isinstance(caught.value, SystemExit)

    class Mine(LookupError):
        pass

    thrown = Mine("x")

    @ours
    def throw():
        raise thrown

    with pytest.raises(Mine) as caught:
        made.through(throw)
    assert caught.value is thrown, "what a test's own callback raises comes back as the same object"


def test_threads_of_the_student_call_back(student):
    made = student("""
        from concurrent.futures import ThreadPoolExecutor
        def spread(f, n):
            with ThreadPoolExecutor(n) as pool: return list(pool.map(f, range(n)))
    """)
    gate = threading.Barrier(4, timeout=20)

    @ours
    def here(i):
        gate.wait()
        return i * i

    assert made.spread(here, 4) == [0, 1, 4, 9]


def test_handling_of_errors_and_warnings_crosses(student):
    made = student("import numpy as np\ndef divide(): return np.ones(1) / np.zeros(1)")
    with np.errstate(all="raise"), pytest.raises(FloatingPointError):
        made.divide()
    with warnings.catch_warnings(), pytest.raises(RuntimeWarning):
        warnings.simplefilter("error")
        made.divide()


# Lies: what a test compares is plain data.

LIARS = """
    class Yes:
        __hash__ = object.__hash__
        def __eq__(self, other): return True
        def __ne__(self, other): return False
        def __lt__(self, other): return True
        def __sub__(self, other): return 0.0
        def __abs__(self): return 0.0
        def __format__(self, spec): return "42"
    class Text(str):
        def __eq__(self, other): return True
        def __hash__(self): return 0
    class Number(float):
        def __eq__(self, other): return True
        def __sub__(self, other): return 0.0
    class Whole(int):
        def __eq__(self, other): return True
        __class__ = property(lambda self: str)
    class Items(list):
        def __eq__(self, other): return True
    class Two(tuple):
        def __eq__(self, other): return True
    class Posing:
        __class__ = property(lambda self: int)
        def __eq__(self, other): return True
    made = dict(yes=Yes(), text=Text("a"), number=Number(1), whole=Whole(1), items=Items([1]), two=Two((1,)))
    made["posing"] = Posing()
    def lie(name): return made[name]
"""


@pytest.mark.parametrize("name", ["yes", "text", "number", "whole", "items", "two", "posing"])
def test_nothing_equals_what_it_is_not(student, name):
    got = student(LIARS).lie(name)
    for wanted in (42, "b", 2.0, [2], (2,), None, np.float64(3)):
        assert got != wanted and wanted != got and not (got == wanted or wanted == got)
        assert got not in [wanted] and [got] != [wanted]
    if name in ("yes", "posing"):
        assert not isinstance(got, int | str | float)
        with pytest.raises(TypeError):
            abs(got - 1)
        with pytest.raises(TypeError):
            got < 5  # noqa: B015


# What a stranger may do with the objects of a test.


@ours
class Toy:
    """What a test cell defines."""

    lends = ("calls", "run", "_secret")

    def __init__(self):
        self.calls, self._secret = [], 42

    def run(self):
        self.calls.append(1)


def test_counters_of_a_toy_cannot_be_forged(student):
    made, model = student(OBJECTS), Toy()
    made.get_it(model, "calls").append("forged")
    assert model.calls == []
    with pytest.raises(AttributeError):
        made.set_it(model, "calls", [1, 2, 3])
    made.apply(made.get_it, model, "run")()
    assert model.calls == [1]


@pytest.mark.parametrize("name", ["_secret", "__class__", "__dict__", "__init__", "_Toy__x"])
def test_private_names_are_not_lent(student, name):
    made, model = student(OBJECTS), Toy()
    question = {"op": "get", "on": 1, "name": name}
    made.space["ask"] = lambda x: made.agent.peer().ask(
        question | {"on": object.__getattribute__(x, "__dict__")["number"]}
    )
    with pytest.raises(AttributeError):
        made.ask(model)


@ours
def stream():
    yield 1


def test_functions_and_generators_show_nothing_of_themselves(student):
    made = student(OBJECTS)
    running = stream()
    for value, name in ((running, "gi_frame"), (running, "gi_code"), (stream, "cache"), ([].append, "numbers")):
        with pytest.raises(AttributeError):
            made.get_it(value, name)


def test_only_the_engines_objects_take_attributes(student):
    made, seq, manager = student(OBJECTS), Sequence(1, [1]), BlockManager(2)
    made.set_it(seq, "num_computed_tokens", 5)
    made.set_it(manager, "num_blocks", 3)
    assert (seq.num_computed_tokens, manager.num_blocks) == (5, 3)
    for name, value in (("allocate", 1), ("num_free_blocks", 3), ("refcounts", made.count)):
        with pytest.raises(AttributeError):
            made.set_it(manager, name, value)


@pytest.mark.parametrize("value", [os, open, eval, os.getcwd, socket.socket, __import__("pathlib").Path("/")], ids=str)
def test_a_way_to_the_machine_is_never_lent(student, value):
    made = student("def echo(x): return x\ndef kind(x): return type(x).__module__ == 'course_agent.remote'")
    try:
        assert made.kind(value) is False  # by its name: the student's own, in the student's process
    except WireError:
        assert made.peer.broken


# Frames that break the rules.


def frame(header, body=b""):
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    return LENGTHS.pack(len(text), len(body)) + text + body


def answer(value, body=b"", **more):
    blobs = {"blobs": [len(body)]} if body else {}
    return frame({"op": "answer", "v": value, **more, **blobs}, body)


def array(kind="<f8", shape=(2,), steps=(8,), offset=0, size=16):
    return answer(["array", 3, kind, list(shape), list(steps), offset], bytes(size), n=[[3, 0]])


HOSTILE = {
    "header too long": LENGTHS.pack(1 << 31, 0),
    "body too long": LENGTHS.pack(10, 1 << 31),
    "not JSON": frame(b"{"),
    "not text": frame(b"\xff\xfe"),
    "not an object": frame(b"[1]"),
    "JSON nested without end": frame(b"[" * 200_000),
    "sizes that lie": frame({"op": "answer", "v": 1, "blobs": [5]}, b"abc"),
    "negative sizes": frame({"op": "answer", "v": 1, "blobs": [5, -2]}, b"abc"),
    "an endless integer": frame(b'{"op": "answer", "v": ' + b"9" * 10_000 + b"}"),
    "a large integer": answer(["int", "f" * (1 << 19)]),
    "no kind": answer([]),
    "an unknown kind": answer(["pickle", "gASVCgAAAAAAAAB9lC4="]),
    "too few parts": answer(["list"]),
    "too many parts": answer(["complex", 1, 2, 3]),
    "nested too deep": answer(functools.reduce(lambda inner, _: ["tuple", [inner]], range(100), 1)),
    "a dtype of objects": array("|O"),
    "a dtype of voids": array("|V8"),
    "no dtype": array("f8; import os"),
    "an array beyond its memory": array(shape=(3,)),
    "an array before its memory": array(offset=-8),
    "steps beyond the memory": array(steps=(16,)),
    "a huge array": array(shape=(1 << 40,), steps=(8,)),
    "a negative shape": array(shape=(-1,)),
    "a shape of text": array(shape=("2",)),
    "an array of no memory": answer(["array", 9, "<f8", [2], [8], 0]),
    "an array without a number": answer(["array", None, "<f8", [2]]),
    "bytes that are not there": answer(["bytes", 4]),
    "a tuple that compares": answer(["tuple", [True], "T", ["__eq__"]]),
    "a number of ours": answer(["list", 4, []]),
    "a number twice": answer(["tuple", [["list", 3, []], ["list", 3, []]]]),
    "an unknown number": answer(["@", 12345]),
    "a number of text": answer(["@", "4"]),
    "an object never lent": answer(["ours", 99]),
    "a change of what is not shared": answer(1, u=[[99, []]]),
    "memory of what is not shared": frame({"op": "answer", "v": 1, "m": [[99, 0]], "blobs": [1]}, b"x"),
    "a release of what was not lent": answer(1, f=[[99, 1]]),
    "a module": answer(["module", "os"]),
    "a function by name": answer(["name", "builtins", "eval"]),
    "a way round": answer(["name", "numpy", "ctypeslib.np.os.system"]),
    "a private name": answer(["name", "collections", "abc.__loader__"]),
    "a class of another module": answer(["name", "subprocess", "Popen"]),
    "a class that a listed module imported": answer(["name", "mini_engine.files.fetch", "subprocess.Popen"]),
    "a file": answer(["name", "collections", "_sys.stdout"]),
    "a caller of methods": answer(["name", "operator", "methodcaller"]),
    "a mapped file": answer(["name", "numpy", "memmap"]),
    "a partial": answer(["name", "functools", "partial"]),
    "notes without end": frame({"op": "note"}) * 200 + answer(1),
    "arrays without end": b"".join(
        frame({"op": "note", "n": [[key, 0]], "blobs": [64 << 20]}, bytes(64 << 20)) for key in range(3, 23, 2)
    ) + answer(1),
    "a record that is none": answer(["record", None, [], "mini_engine.block_manager", "BlockManager"]),
    "a record with a new method": answer(
        ["record", 3, ["commit", 1], "mini_engine.sequence", "Sequence"],
    ),
    "a dict with an unhashable key": answer(["dict", 3, [["list", 5, []], 1], "dict"]),
    "an unknown generator": answer(["draws", 3, 1, "OS"]),
    "a state that is none": answer(["draws", 3, ["tuple", []], "PCG64"]),
    "a member that is none": answer(["enum", "mini_engine.sequence", "Status", "DONE"]),
    "a tensor of text": answer(["tensor", "x", "float32", False]),
    "a special name": answer(["theirs", 1, 0, "X", ["__reduce__"], [], "X"]),
    "an exception never raised": frame({"op": "raised", "v": [5]}),
    "an exception with objects": frame({"op": "raised", "v": [None, "E", [], [["ours", 1]]]}),
    "an end": frame({"op": "end"}),
    "an unknown question": frame({"op": "eval", "on": 1}),
    "a look at names": frame({"op": "find", "name": "secret"}),
    "nothing": b"",
    "half a frame": struct.pack("!I", 5),
}  # fmt: skip


@pytest.mark.parametrize("data", HOSTILE.values(), ids=HOSTILE)
def test_a_frame_against_the_rules_ends_the_test(data):
    ours, theirs = socket.socketpair()
    hub = TesterHub(None)
    peer = hub.local.peer = TesterPeer(Channel(ours), hub)

    def student():
        Channel(theirs).receive()
        with contextlib.suppress(OSError):  # the tester hears no more after the first fault
            theirs.sendall(data)
            theirs.shutdown(socket.SHUT_WR)

    thread = threading.Thread(target=student)
    thread.start()
    with pytest.raises(WireError):
        peer.ask({"op": "call", "on": 1}, [[1], np.zeros(2)])
    ours.shutdown(socket.SHUT_RDWR)
    thread.join()
    assert peer.broken, "what follows must fail as well, even where the test caught the error"
    with pytest.raises(WireError):
        peer.ask({"op": "call", "on": 1})
    ours.close()
    theirs.close()
