"""Marks are decided outside: values keep their meaning, lies do not pass, broken rules cost the one who breaks them."""

import collections
import contextlib
import dataclasses
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
from autograder.outside.tester import Answers
from autograder.outside.wire import LENGTHS, Channel, WireError
from autograder.scoring import describe
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


KINDS = """
    import collections, copy, dataclasses, enum, os, tempfile, typing
    import numpy as np

    class MyList(list): pass
    class MyDict(dict):
        def __getitem__(self, key): return "not what it holds"
    class MyOrdered(collections.OrderedDict): pass
    class MySet(set): pass
    class MyFrozen(frozenset): pass
    class MyDeque(collections.deque): pass
    class MyCounter(collections.Counter): pass
    class MyText(str): pass
    class MyBytes(bytes): pass
    class Level(enum.IntEnum):
        LOW, HIGH = 1, 2
    class Pair(typing.NamedTuple):
        count: int
        index: list
    Step = collections.namedtuple("Step", "kind size")
    @dataclasses.dataclass
    class Row:
        name: str
        parts: list = dataclasses.field(default_factory=list)
    @dataclasses.dataclass(frozen=True, order=True)
    class Key:
        a: int
        b: str
    @dataclasses.dataclass(slots=True)
    class Slim:
        a: int
        b: list

    def ordered():
        found = collections.OrderedDict(a=1, b=2, c=3)
        found.move_to_end("a")
        return found
    def default():
        found = collections.defaultdict(list)
        found["x"].append(1)
        return found
    def mapped():
        with tempfile.TemporaryDirectory() as folder:
            found = np.memmap(os.path.join(folder, "a"), np.float32, "w+", shape=(2, 3))
            found[:] = 7
            return found

    made = dict(
        my_list=MyList([1, [2]]), my_dict=MyDict(b=1, a=2), ordered=ordered(), my_ordered=MyOrdered(b=1, a=2),
        default=default(), counter=collections.Counter("abb"), my_counter=MyCounter("abb"), my_set=MySet({1, 2}),
        my_frozen=MyFrozen({3}), deque=collections.deque([1, 2], 2), my_deque=MyDeque([1, 2], maxlen=5),
        text=MyText("x"), data=MyBytes(b"x"), level=Level.HIGH, pair=Pair(1, [2]), step=Step("a", 2),
        row=Row("r", [1]), key=Key(1, "k"), slim=Slim(1, [2]), keys={Key(2, "b"): 1},
        matrix=np.matrix([[1, 2]]), mapped=mapped(), unmasked=np.ma.masked_array([1.0, 2.0], [False, False]),
        masked=np.ma.masked_array([1.0, 2.0], [False, True]),
    )
    def give(name): return made[name]
    def holds(name, wanted): return type(made[name]).__name__, bool(np.all(made[name] == wanted))
    def is_it(name, value): return value is made[name]
    def change(name):
        value = made[name]
        if isinstance(value, dict): value["new"] = 9
        elif isinstance(value, set): value.add(9)
        elif isinstance(value, (list, collections.deque)): value.append(9)
        elif isinstance(value, Row): value.name = "new"
        elif isinstance(value, Slim): value.a = 9
    def order(value): return type(value).__name__, list(value.items())
    def swap(value): value.move_to_end(next(iter(value)))
    def same(a, b): return a == b
"""
CROSSED = {
    "my_list": [1, [2]],
    "my_dict": {"b": 1, "a": 2},
    "ordered": collections.OrderedDict(b=2, c=3, a=1),
    "my_ordered": collections.OrderedDict(b=1, a=2),
    "default": collections.defaultdict(list, x=[1]),
    "counter": collections.Counter("abb"),
    "my_counter": collections.Counter("abb"),
    "my_set": {1, 2},
    "my_frozen": frozenset({3}),
    "deque": collections.deque([1, 2], 2),
    "my_deque": collections.deque([1, 2], 5),
    "text": "x",
    "data": b"x",
    "level": 2,
}


@pytest.mark.parametrize("name", CROSSED)
def test_a_students_own_kind_of_a_plain_type_comes_whole_and_stays_linked(student, name):
    made, wanted = student(KINDS), CROSSED[name]
    got = made.give(name)
    assert type(got) is type(wanted) and got == wanted and repr(got) == repr(wanted)
    if isinstance(wanted, str | bytes | int | frozenset):
        return
    assert made.give(name) is got and made.is_it(name, got), "the same object on both sides"
    made.change(name)
    if isinstance(got, dict):
        assert got["new"] == 9 and list(got)[-1] == "new" and len(got) == len(wanted) + 1
        got.clear()
    else:
        assert 9 in got
        got.clear()
    assert made.holds(name, type(wanted)())[1] or name == "default", "a change on this side is seen on theirs"


@pytest.mark.parametrize("name", ["row", "key", "slim", "pair", "step"])
def test_dataclasses_and_named_tuples_come_by_their_fields(student, name):
    made = student(KINDS)
    got = made.give(name)
    fields = list(got._fields) if isinstance(got, tuple) else [field.name for field in dataclasses.fields(got)]
    values = {field: getattr(got, field) for field in fields}
    assert list(values.values()) == {"row": ["r", [1]], "step": ["a", 2], "key": [1, "k"]}.get(name, [1, [2]])
    again = got._replace(**values) if isinstance(got, tuple) else dataclasses.replace(got, **values)
    assert again == got and type(got).__name__.lower() == name
    assert isinstance(got, tuple) or made.is_it(name, got)
    made.change(name)
    if name in ("row", "slim"):
        first = fields[0]
        assert getattr(got, first) in ("new", 9), "a change on their side is seen here"
        setattr(got, first, "ours")
        assert getattr(made.give(name), first) == "ours" and made.same(got, made.give(name))
    if name == "key":
        assert {got: 1} == {again: 1} and list(made.give("keys")) == [dataclasses.replace(got, a=2, b="b")]
        assert again < dataclasses.replace(got, a=5)


def test_the_testers_own_ordered_dicts_and_named_tuples_arrive_whole(student):
    made = student(KINDS)
    given = collections.OrderedDict(a=1, b=2, c=3)
    given.move_to_end("a")
    assert made.order(given) == ("OrderedDict", [("b", 2), ("c", 3), ("a", 1)])
    made.swap(given)
    assert list(given) == ["c", "a", "b"], "an order changed over there is changed here"
    given.move_to_end("c")
    assert made.order(given)[1] == [("a", 1), ("b", 2), ("c", 3)]
    counts = collections.defaultdict(int, x=1)
    assert made.same(counts, {"x": 1}) and made.same(Point(1, [2]), (1, [2])) and made.same({1, 2}, {2, 1})


def test_kinds_of_arrays_come_as_plain_arrays(student):
    made = student(KINDS)
    assert same(made.give("matrix"), np.array([[1, 2]])) and same(made.give("mapped"), np.full((2, 3), 7, np.float32))
    assert same(made.give("unmasked"), np.array([1.0, 2.0]))
    with pytest.raises(TypeError, match="masked values cannot cross"):
        made.give("masked")


def test_a_plain_type_with_methods_of_its_own_is_asked(student):
    got = student("""
        import collections
        class Cache(collections.OrderedDict):
            def append(self, x): self[len(self)] = x; return self
        def make(): return Cache()
    """).make()
    assert got.append(5) is got and len(got) == 1 and got[0] == 5 and dict(got) == {0: 5}


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


# What a test tried, in words without values.

CRASHES = """
    class Cache:
        def append(self, layer, keys): raise IndexError("37.5")
        @property
        def length(self): return {}["37.5"]
    def crash(*args, **named): raise TypeError("37.5")
    def nothing(*args): return None
    def call(f): return f(1)
"""


def tried(made, source):
    """What the tester says after a test cell of that source."""
    answers, asked = Answers(made.peer), made.hub.tried
    asked.start()
    space = {name: answers[name] for name in ("Cache", "crash", "nothing", "call") if name in answers} | {"np": np}
    try:
        exec(source, space)
    except Exception as error:
        return asked.sentence(describe(error))
    return asked.sentence("")


@pytest.mark.parametrize(
    "source, words",
    [
        ("crash([1, 2], np.zeros((2, 3), np.float32), 37.5, flag=True)",
         "when the check tries crash(list of int, float32 array with 2 axes, float, flag=bool)"),
        ("Cache().append(0, None)", "when the check tries Cache.append(int, None)"),
        ("Cache().length", "when the check tries Cache.length"),
        ("nothing('37.5')['key']", "with what nothing(str) gives back, which is None,"),
        ("crash(*[1] * 9)", "when the check tries crash(int, int, int, int, int, int, …)"),
        ("nothing(1); assert False, 37.5", ""),
        ("nothing(1); undefined", ""),
        ("nothing(1)", ""),
        ("nothing(1); raise TypeError('37.5')", "with what nothing(int) gives back, which is None,"),
    ],
)  # fmt: skip
def test_a_check_that_crashes_says_what_it_tried_and_no_value(student, source, words):
    assert tried(student(CRASHES), source) == words


def test_what_a_test_tried_is_not_what_its_own_callback_asked(student):
    made = student(CRASHES)
    (crash,) = made.peer.ask({"op": "find", "name": "crash"})

    @ours
    def back(x):
        return crash(x, x)

    with pytest.raises(TypeError) as caught:
        Answers(made.peer).__contains__("call") and made.call(back)
    assert made.hub.tried.sentence(describe(caught.value)) == "when the check tries an object of yours(function)"


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
    "a tuple with a number for a name": answer(["tuple", [True], "T", [5]]),
    "a tuple with too many names": answer(["tuple", [True], "T", ["a", "b"]]),
    "a dataclass that compares": answer(["dataclass", 3, ["__eq__", 1], "T", ["__eq__"], False, False, False]),
    "a dataclass with a field that it lacks": answer(["dataclass", 3, ["__eq__", 1], "T", ["a"], False, True, False]),
    "a dataclass with a base": answer(["dataclass", 3, ["a", 1], "T", ["a"], False, True, ["name", "builtins", "int"]]),
    "a dataclass of code": answer(["dataclass", 3, [], "T", ["a=print()"], False, True, False]),
    "a default that cannot be called": answer(["dict", 3, [], "defaultdict", 5]),
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
