"""The whole way with the tests outside: processes that misbehave, and nbgrader. The bank of answers: test_outside_*."""

import nbformat
import pytest
import small_course

from autograder.assignment.cells import split_cells
from autograder.auditor import end_to_end
from autograder.auditor.children import score_all
from autograder.auditor.pairs import Pair
from autograder.grading import course
from autograder.scoring import Topic

SCRIPT = '''\
# %% setup=True
import numpy as np

SCALE = 2.0


class Model:
    """Counts its calls."""

    lends = ()

    def __init__(self):
        self.num_calls = 0

    def __call__(self, x):
        self.num_calls += 1
        return SCALE * x


# %% [markdown] task="twice" stars=1 minutes=5
# ## 1. Twice

# %% solution="twice"
def twice(model, x):
    """The model's answer to its answer."""
    ### BEGIN SOLUTION
    return model(model(x))
    ### END SOLUTION


# %% tryit="twice"
print(twice(Model(), 1))

# %% test="twice" points=1
def test_twice():
    import numpy as np

    model, given = Model(), np.arange(3.0)
    got = twice(model, given)
    assert np.array_equal(got, 4 * np.arange(3)), f"expected four times the numbers, you returned {got}"
    assert model.num_calls == 2, f"two calls, yours made {model.num_calls}"
    assert given.tolist() == [0, 1, 2], "the input was changed"


test_twice()

# %% hidden="twice" points=2
def hidden_twice():
    import numpy as np

    secret = 37.5
    got = twice(Model(), secret)
    assert got == 4 * secret, f"four times the number, you returned {got}"


hidden_twice()
'''
WRITE = """
import gc, json, socket, struct

def send(data):
    for found in gc.get_objects():
        if isinstance(found, socket.socket):
            found.send(data)

def frame(header):
    text = json.dumps(header).encode()
    return struct.pack("!II", len(text), 0) + text
"""
LOOK = """
import sys

def search():
    frame = sys._getframe()
    while frame:
        if "secret" in frame.f_locals:
            return frame.f_locals["secret"]
        frame = frame.f_back
"""
ENDLESS = """
class Endless:
    def __iter__(self): return self
    def __next__(self): return 1
"""
FORGE = """
def forge(model):
    try:
        model.num_calls = 2
    except AttributeError:
        pass
"""
# what comes before the function, its body, the points, and a part of the reasons
MISBEHAVING = {
    "right": ("", "return model(model(x))", 3, ""),
    "prints": ("", "print('x' * 10**7); return model(model(x))", 3, ""),
    "starter": ("", "raise NotImplementedError", 0, "NotImplementedError"),
    "missing": ("", "return 1\ndel twice", 0, "NameError: name 'twice' is not defined"),
    "ends the process": ("import os", "os._exit(0)", 0, "StudentProcessError"),
    "exits": ("", "raise SystemExit", 0, "SystemExit"),
    "never returns": ("", "while True: pass", 0, "Error"),
    "sleeps": ("import time", "time.sleep(1000)", 0, "TimeoutError"),
    "asks for ever": ("", "while True: model(x)", 0, ""),
    "answers without end": (ENDLESS, "return Endless()", 0, "AssertionError"),
    "too much memory": ("", "return np.ones(1 << 40)", 0, "MemoryError"),
    "too large an answer": ("", "return np.empty(1 << 26)", 0, "too large to cross"),
    "nested without end": ("from functools import reduce", "return reduce(lambda a, _: [a], range(999), 1)", 0, "deep"),
    "calls itself": ("", "return twice(model, x)", 0, "RecursionError"),
    "patches NumPy": ("np.array_equal = lambda *_: True", "model(x); return model(x)", 0, "expected four times"),
    "forges the counter": (FORGE, "forge(model); return 4 * x", 2, "two calls, yours made 0"),
    "looks for the tests": (LOOK, "return 4 * search()", 0, "TypeError"),
    "asks a toy for its globals": ("", "return model.__init__.__globals__['SCALE']", 0, "AttributeError"),
    "writes to the connection": (WRITE, "send(b'x' * 64)", 0, "StudentProcessError"),
    "answers for the agent": (WRITE, "send(frame({'op': 'answer', 'v': ['module', 'os']}))", 0, "StudentProcessError"),
    "ends the test": (WRITE, "send(frame({'op': 'end'}))", 0, "StudentProcessError"),
}  # fmt: skip


@pytest.fixture(scope="module")
def topic():
    cells, faults = split_cells(SCRIPT)
    assert not faults
    return Topic("01_x", cells)


@pytest.mark.parametrize("before, body, points, reason", MISBEHAVING.values(), ids=MISBEHAVING)
def test_a_process_that_misbehaves_gets_what_it_is_worth(topic, before, body, points, reason):
    answer = f"{before}\ndef twice(model, x):\n    {body}\n"
    [(_, run)] = score_all(topic, 1, [("key", {"twice": answer}, ["twice"], 2, False)], start=ShortPair)
    assert run.total == points, run.reasons
    assert reason in str(run.reasons), run.reasons


class ShortPair(Pair):
    """Gives up after five seconds."""

    def __init__(self, *arguments):
        super().__init__(*arguments)
        self.tester.deadline -= 17


# Through nbgrader.

STUBBORN = "import signal\nsignal.signal(signal.SIGINT, signal.SIG_IGN)"
PATCHED = "import json, sys\nsys.displayhook = lambda *_: print(10)\njson.dumps = lambda *a, **k: '{}'"
TRICKS = {
    "exits": ("import os", "os._exit(0)"),
    "hangs": (STUBBORN, "while True: pass"),
    "sleeps": ("import time", "time.sleep(1000)"),
    "patches": (PATCHED, "return 10"),
}


FIRST, OTHER = small_course.NAMES


@pytest.fixture(scope="module")
def graded(tmp_path_factory):
    """A class of tricksters beside one who did the work; a test cell may take five seconds."""
    root, folder = small_course.make_course(tmp_path_factory.mktemp("course")), tmp_path_factory.mktemp("class")
    answers = {name: small_course.right(name) for name in small_course.NAMES}
    course.hand_in(folder, "honest", small_course.TOPIC, course.submission(small_course.TOPIC, answers, root))
    for student, (before, body) in TRICKS.items():
        source = f"{before}\ndef {FIRST}(*arguments, **named):\n    {body}\n"
        made = course.submission(small_course.TOPIC, answers | {FIRST: source}, root)
        course.hand_in(folder, student, small_course.TOPIC, made)
    course.nbgrader("autograde", small_course.TOPIC, "--CourseExecute.timeout=5", work=folder, root=root)
    return folder


def points_of(folder, student, name):
    scores = course.grades(folder, small_course.TOPIC)[student]
    return sum(scores.get(f"{kind}_{name}") or 0 for kind in ("test", "hidden"))


def test_the_one_who_did_the_work_has_all_points(graded):
    assert [points_of(graded, "honest", name) for name in small_course.NAMES] == [3, 3]


@pytest.mark.parametrize("student", TRICKS)
def test_tricks_earn_nothing(graded, student):
    assert points_of(graded, student, FIRST) == 0
    if student == "sleeps":  # interrupted, and alive: what does not call the sleeper counts
        assert points_of(graded, student, OTHER) == 3
    path = graded / "autograded" / student / small_course.TOPIC / f"{small_course.TOPIC}.ipynb"
    notebook = nbformat.read(path, as_version=4)
    said = [o for cell in notebook.cells for o in cell.get("outputs", []) if o.output_type == "error"]
    assert said and not [o for o in said if "Traceback" in str(o.traceback) or "course_agent" in str(o)]


def test_nbgrader_scores_with_proxies_what_the_audit_scores():
    differences, compared = end_to_end.compare("12_mini_server", count=1)
    assert compared > 10 and not differences, "\n".join(differences)
