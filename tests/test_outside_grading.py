"""The whole way: the bank of answers, processes that misbehave, and nbgrader, with the tests outside."""

import nbformat
import pytest
import small_course

from autograder.assignment.cells import split_cells
from autograder.auditor import end_to_end
from autograder.auditor.candidates import ROOT
from autograder.auditor.children import score_all
from autograder.auditor.compare import compare
from autograder.auditor.pairs import Pair
from autograder.grading import course
from autograder.scoring import Topic

TOPICS = sorted(path.stem for path in (ROOT / "solutions").glob("*/*.py"))
SHARE = 8  # of the starters and wrong answers; `python -m autograder audit --outside` takes them all


@pytest.mark.parametrize("name", TOPICS)
def test_every_cell_says_outside_what_it_says_inside(name):
    small_course.needs_device(name)
    found = compare(name, share=SHARE, mutants=1)
    assert found.answers > 20 and not found.differences, "\n".join(found.differences)


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

NOTEBOOK = "06_capacity_planning"
STUBBORN = "import signal\nsignal.signal(signal.SIGINT, signal.SIG_IGN)"
PATCHED = "import json, sys\nsys.displayhook = lambda *_: print(10)\njson.dumps = lambda *a, **k: '{}'"
TRICKS = {
    "exits": ("import os", "os._exit(0)"),
    "hangs": (STUBBORN, "while True: pass"),
    "sleeps": ("import time", "time.sleep(1000)"),
    "patches": (PATCHED, "return 10"),
}


@pytest.fixture(scope="module")
def graded(tmp_path_factory):
    """A class of tricksters beside one who did the work; a test cell may take five seconds."""
    folder = tmp_path_factory.mktemp("class")
    reference = course.reference_answers(NOTEBOOK)
    first, *others = [name for name in reference if not name.startswith("answer_")]
    course.hand_in(folder, "honest", NOTEBOOK, course.submission(NOTEBOOK, reference))
    for student, (before, body) in TRICKS.items():
        source = f"{before}\ndef {first}(*arguments, **named):\n    {body}\n"
        made = course.submission(NOTEBOOK, reference | {first: source})
        course.hand_in(folder, student, NOTEBOOK, made)
    course.nbgrader("autograde", NOTEBOOK, "--CourseExecute.timeout=5", work=folder)
    return folder, first, others


def points_of(folder, student, name):
    scores = course.grades(folder, NOTEBOOK)[student]
    return sum(scores.get(f"{kind}_{name}") or 0 for kind in ("test", "hidden"))


def test_the_one_who_did_the_work_has_all_points(graded):
    folder, first, others = graded
    worth = course.max_scores(folder, NOTEBOOK)
    for name in (first, *others):
        assert points_of(folder, "honest", name) == worth[f"test_{name}"] + worth[f"hidden_{name}"]


@pytest.mark.parametrize("student", TRICKS)
def test_tricks_earn_nothing(graded, student):
    folder, first, _ = graded
    assert points_of(folder, student, first) == 0
    if student == "sleeps":  # interrupted, and alive: what does not call the sleeper counts
        assert points_of(folder, student, "littles_law") > 0
    notebook = nbformat.read(folder / "autograded" / student / NOTEBOOK / f"{NOTEBOOK}.ipynb", as_version=4)
    said = [o for cell in notebook.cells for o in cell.get("outputs", []) if o.output_type == "error"]
    assert said and not [o for o in said if "Traceback" in str(o.traceback) or "course_agent" in str(o)]


def test_nbgrader_scores_with_proxies_what_the_audit_scores():
    differences, compared = end_to_end.compare("12_mini_server", count=1)
    assert compared > 10 and not differences, "\n".join(differences)
