"""The audit: every topic's tests are strong enough, and the auditor itself finds weak ones."""

import json
import subprocess
import sys

import pytest
import small_course

from autograder import __main__
from autograder.assignment.cells import split_cells
from autograder.assignment.seen import names_seen
from autograder.auditor import command
from autograder.auditor.audit import SAMPLE, audit_topic
from autograder.auditor.bank import read_bank
from autograder.auditor.candidates import ROOT
from autograder.auditor.children import score_all
from autograder.auditor.mutants import mutants
from autograder.auditor.stamp import AUDITOR, reached, stamps
from autograder.auditor.table import table
from autograder.scoring import Topic

TOPICS = sorted(path.stem for path in (ROOT / "solutions").glob("*/*.py"))


@pytest.fixture(scope="module")
def audited(request):
    """{topic: [(exercise, faults)]} of the topics to test, by one process: each would import torch anew.

    Of an exercise with nothing changed since its counts were saved, a sample (`make audit` scores all).
    """
    items = [item for item in request.session.items if "audited" in getattr(item, "fixturenames", ())]
    topics = [item.callspec.params["topic"] for item in items]
    done = subprocess.run(
        [sys.executable, "-m", "autograder", "audit", "--changed", "--json", *topics],
        cwd=ROOT,
        capture_output=True,
        text=True,
    )
    assert done.stdout, done.stderr[-2000:]
    rows = json.loads(done.stdout)
    assert done.returncode == int(any(row["faults"] for row in rows)), done.stderr[-2000:]
    return {topic: [(row["exercise"], row["faults"]) for row in rows if row["topic"] == topic] for topic in topics}


@pytest.mark.parametrize("topic", TOPICS)
def test_every_wrong_answer_and_mutant_loses_points(audited, topic):
    small_course.needs_device(topic)
    assert audited[topic] and not [row for row in audited[topic] if row[1]]


# One line of numeric code, and changes that the operators must make of it.
OPERATORS = {
    "keyword": ("y = x.sum(axis=0, keepdims=True)", ["y = x.sum(keepdims=True)", "y = x.sum(axis=0)"]),
    "unwrap": ("y = np.tril(x)", ["y = x", "y = np.triu(x)"]),
    "method": ("y = x.copy()", ["y = x"]),
    "arguments": ("y = f(a, b, c)", ["y = f(b, a, c)", "y = f(a, c, b)", "y = f(a, b)"]),
    "off by one": (
        "y = x[1:n]",
        ["y = x[2:n]", "y = x[0:n]", "y = x[1:n - 1]", "y = x[1:n + 1]", "y = x[1:]", "y = x[:n]"],
    ),
    "range": ("y = list(range(n))", ["y = list(range(n - 1))", "y = list(range(n + 1))"]),
    "index": ("y = x[i]", ["y = x[i - 1]"]),
    "min and max": ("y = min(a, 3)", ["y = max(a, 3)", "y = min(a, 4)", "y = min(a, 2)", "y = min(3, a)"]),
    "methods mixed up": ("y = x.max() + x.argmin()", ["y = x.min() + x.argmin()", "y = x.max() + x.argmax()"]),
    "head count": ("y = c.num_attention_heads", ["y = c.num_key_value_heads"]),
    "constant": ("y = 0.5", ["y = 1.0", "y = 0.0"]),
    "zero": ("y = x[0]", ["y = x[1]", "y = x[-1]"]),
    "boolean": ("y = True", ["y = False"]),
    "deleted": ("y += x", ["pass", "y = x", "y -= x"]),
    "comparison": ("y = a < b", ["y = a <= b", "y = a >= b"]),
    "chained": ("y = 0 < p <= 1", ["y = 0 <= p <= 1", "y = 0 < p < 1", "y = 0 < p > 1"]),
    "and": ("y = a and b", ["y = a or b", "y = a", "y = b"]),
    "not": ("y = not a", ["y = a"]),
    "arithmetic": ("y = a - b", ["y = a + b", "y = b - a", "y = a", "y = b"]),
    "matrix": ("y = a @ b", ["y = a * b", "y = b @ a"]),
    "transpose": ("y = a.T", ["y = a"]),
    "axes": ("y = x.transpose(1, 0, 2)", ["y = x.transpose(0, 1, 2)", "y = x.transpose(1, 2, 0)"]),
    "shape": ("y = x.reshape((n, h))", ["y = x.reshape((h, n))"]),
    "choice": ("y = a if c else b", ["y = a", "y = b"]),
    "filter": ("y = [i for i in x if i > 1]", ["y = [i for i in x]"]),
}


@pytest.mark.parametrize("line, wanted", OPERATORS.values(), ids=OPERATORS)
def test_operators_make_the_changes_that_matter(line, wanted):
    made = {mutant.change for mutant in mutants(f"def f():\n    {line}\n    return y\n")}
    missing = [f"{line} => {change}" for change in wanted if f"{line} => {change}" not in made]
    assert not missing, f"made only: {made}"


def test_guards_are_negated_and_taken_away_but_messages_and_signatures_stay():
    source = 'def f(n=1):\n    """Doc 1."""\n    if n < 1:\n        raise ValueError(f"n is {n + 1}")\n    return n\n'
    changes = {mutant.change for mutant in mutants(source)}
    assert {"if n < 1: => if not n < 1:", "if n < 1: => if False:", "return n => return None"} <= changes
    assert not [change for change in changes if "ValueError" in change.split(" => ")[1] or "def f" in change]
    sources = [mutant.source for mutant in mutants(source)]
    assert len(sources) == len(set(sources)), "a mutant is made twice"


TOPIC = '''\
# %% setup=True
import numpy as np

# %% [markdown] task="half" stars=1 minutes=5
# ## 1. Halves
#
# <details><summary>Hint 1</summary>a</details>
# <details><summary>Hint 2</summary>b</details>

# %% solution="half"
def half(x):
    """Half of x."""
    ### BEGIN SOLUTION
    return x / 2
    ### END SOLUTION


# %% tryit="half"
print(half(1))

# %% test="half" points=1
def test_half():
    helper = 2
    assert half(4) == helper, "half of 4 is 2"


test_half()

# %% hidden="half" points=2
def hidden_half():
    d = 3
    assert HIDDEN, "hidden"


hidden_half()
'''
STRONG = "half(2 * d) == d and half(-1) == -0.5 and half(0.123456789) == 0.0617283945"
WRONG = """
== wrong minus, caught by hidden: hidden
Takes away instead.
x / 2 => x - 2
"""
RIGHT = """
== right times
Multiplies.
def half(x):
    return 0.5 * x

== right numpy
NumPy.
def half(x):
    return np.divide(x, 2)
"""


def course(folder, hidden=STRONG, bank=WRONG + RIGHT):
    script = folder / "solutions" / "01_x" / "01_x.py"
    place = folder / "autograder" / "audit" / "01_x" / "half.txt"
    script.parent.mkdir(parents=True)
    place.parent.mkdir(parents=True)
    script.write_text(TOPIC.replace("HIDDEN", hidden))
    place.write_text(bank)
    return folder


def faults(folder):
    [row] = audit_topic("01_x", root=folder)
    return row.faults, row


def test_strong_tests_pass_the_audit(tmp_path):
    found, row = faults(course(tmp_path))
    assert not found
    assert (row.wrong_caught, row.right_kept, row.points) == (1, 2, 3)
    assert row.mutants_killed == row.mutants > 5
    assert "1/1" in table([row])


def test_a_weak_test_is_caught(tmp_path):
    found, row = faults(course(tmp_path, hidden="half(4) == 2"))
    assert "01_x/half.txt:2: wrong minus gets all points: a test is missing" in found
    assert "mutant survives: return x / 2 => return 2" in found
    assert "mutant survives: half => result in float32" in found
    assert row.wrong_caught == 0


DIFFERENT = "== right minus\nTakes away.\ndef half(x):\n    return x - 2\n"
BANK_FAULTS = {
    "right loses": (WRONG + RIGHT + DIFFERENT, "half.txt:15: right minus loses points: hidden_half"),
    "one right": (WRONG + RIGHT.replace("== right numpy", "== right times"), "half.txt:11: right times stands twice"),
    "no bank": ("", "half.txt:1: 0 right answers in the bank, at least 2 are needed"),
    "no wrong": (RIGHT, "half.txt:1: no wrong answer in the bank"),
    "no sentence": (WRONG.replace("Takes away instead.", "2 => 2") + RIGHT, "half.txt:2: wrong minus needs a sentence"),
    "no edit": (WRONG.replace("x / 2 => x - 2\n", "") + RIGHT, "half.txt:2: wrong minus needs a sentence"),
    "stray text": ("==wrong minus\n" + WRONG + RIGHT, "half.txt:1: text before the first header"),
    "no check": (WRONG.replace(", caught by hidden: hidden", "") + RIGHT, "half.txt:2: wrong minus does not say which"),
    "other words": (WRONG.replace(": hidden", ": is 3"), "not by the check that it names (hidden: is 3): hidden_half"),
    "other check": (WRONG.replace("by hidden", "by test"), "not by the check that it names (test: hidden)"),
    "old text gone": (WRONG.replace("x / 2", "x / 3"), "half.txt:4: the text to change stands 0 times"),
    "ambiguous": (WRONG.replace("x / 2 =>", "x =>"), "half.txt:4: the text to change stands 3 times"),
    "not an edit": (WRONG.replace(" => ", " -> "), "half.txt:4: neither `old => new` nor a block"),
    "open block": (WRONG.replace("x / 2", "<<<\nx / 2"), "half.txt:4: the block has no line ==="),
    "unknown base": (WRONG.replace("minus,", "minus of loop,"), "half.txt:2: wrong minus is an edit of right loop"),
    "header": (WRONG.replace("== wrong", "== mistake"), "half.txt:2: cannot read `== mistake minus"),
    "not Python": (WRONG.replace("=> x - 2", "=> x -"), "half.txt:2: wrong minus is not Python"),
    "does not run": (WRONG.replace("x - 2", "y - 2"), "wrong minus does not run (test_half: NameError"),
    "stale": (
        "== equivalent\nreturn x / 2 => return x / 7  # never\n",
        "no mutant `return x / 2 => return x / 7`",
    ),
    "killed": (
        "== equivalent\nreturn x / 2 => return x * 2  # no\n",
        "`return x / 2 => return x * 2` is killed",
    ),
    "no reason": ("== equivalent\n\nreturn x / 2 => return x * 2\n", "half.txt:3: must be `old text => new"),
}


@pytest.mark.parametrize("bank, message", BANK_FAULTS.values(), ids=BANK_FAULTS)
def test_faults_of_the_bank_are_named(tmp_path, bank, message):
    found, _ = faults(course(tmp_path, bank=bank))
    assert any(message in fault for fault in found), found


EDITS = {
    "a line": ("return x / 2 => return x - 2", "def half(x):\n    # a comment\n    return x - 2"),
    "a part of it": ("x / 2 => x / (x + 1)", "def half(x):\n    # a comment\n    return x / (x + 1)"),
    "taken out": ("# a comment =>", "def half(x):\n    \n    return x / 2"),
    "two": ("x / 2 => x - 2\n# a => # one", "def half(x):\n    # one comment\n    return x - 2"),
    "a block": (
        "<<<\n    # a comment\n    return x / 2\n===\n    y = 2\n\n    return x - y\n>>>",
        "def half(x):\n    y = 2\n\n    return x - y",
    ),
    "a block taken out": ("<<<\n    # a comment\n===\n>>>", "def half(x):\n    return x / 2"),
}


@pytest.mark.parametrize("edit, wanted", EDITS.values(), ids=EDITS)
def test_an_edit_changes_its_text_and_nothing_else(tmp_path, edit, wanted):
    place = tmp_path / "half.txt"
    place.write_text(WRONG.replace("x / 2 => x - 2", edit) + RIGHT)
    bank = read_bank(place, "def half(x):\n    # a comment\n    return x / 2")
    assert not bank.faults and bank.wrong["minus"].source == wanted


def test_a_wrong_answer_may_be_whole_or_an_edit_of_a_right_one(tmp_path):
    place = tmp_path / "half.txt"
    whole = "== wrong all whole, caught by test\nGives it back.\ndef half(x):\n    return x\n"
    of = "== wrong double of times, caught by test\nDoubles.\n0.5 => 2\n"
    place.write_text(whole + of + RIGHT)
    bank = read_bank(place, "def half(x):\n    return x / 2")
    assert not bank.faults
    assert bank.wrong["all"].source == "def half(x):\n    return x"
    assert bank.wrong["double"].source == "def half(x):\n    return 2 * x"


def test_the_example_in_contributing_is_read(tmp_path):
    text = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
    (tmp_path / "x.txt").write_text(text.split("```text\n")[1].split("```")[0])
    guard = '    if tokens < 0:\n        raise ValueError(f"tokens cannot be negative, got {tokens}")\n'
    bank = read_bank(tmp_path / "x.txt", f"def cache_bytes(layers, tokens):\n{guard}    return 2 * layers * tokens")
    assert len(bank.faults) == 1 and "1 right answers in the bank" in bank.faults[0], bank.faults
    assert "return layers * tokens" in bank.wrong["one_array"].source
    assert "if" not in bank.wrong["no_check"].source and bank.equivalent


def test_an_equivalent_mutant_is_not_counted(tmp_path):
    weak = "half(2 * d) == d and half(-2) == -1"  # whole numbers only: x // 2 would do
    bank = WRONG.replace("x / 2", "int(x / 2)") + RIGHT
    listed = "\n== equivalent\nreturn int(x / 2) => return x / 2  # even numbers\n"
    folder = course(tmp_path / "listed", hidden=weak, bank=bank + listed)
    script = folder / "solutions/01_x/01_x.py"
    script.write_text(script.read_text().replace("return x / 2", "return int(x / 2)"))
    found, row = faults(folder)
    assert not found and row.equivalent == 1
    (folder / "autograder/audit/01_x/half.txt").write_text(bank)
    assert faults(folder)[0] == ["mutant survives: return int(x / 2) => return x / 2"]


def test_a_test_sees_its_exercise_and_the_earlier_ones_that_the_lead_in_names():
    given = {"half": ["half"], "third": ["third"], "mean": ["mean", "median"], "last": ["last"]}
    lead_in = "Write `mean` and `median` with `half`, not with halfway or `last`."
    assert names_seen("mean", lead_in, given) == ["half", "mean", "median"]
    assert names_seen("half", "", given) == ["half"]


def test_only_what_changed_since_the_counts_were_saved_is_scored_whole(tmp_path):
    folder = course(tmp_path)
    [first] = audit_topic("01_x", root=folder)
    assert not first.faults and not first.is_sampled
    [again] = audit_topic("01_x", root=folder, known={first.stamp})
    assert not again.faults and again.is_sampled and again.mutants + again.right + again.wrong <= SAMPLE
    place = folder / "autograder" / "audit" / "01_x" / "half.txt"
    place.write_text(WRONG + RIGHT + DIFFERENT)
    [changed] = audit_topic("01_x", root=folder, known={first.stamp})
    assert changed.faults and not changed.is_sampled
    for path in ("solutions/01_x/01_x.py", "solutions/01_x/data.csv"):
        before = stamps("01_x", ["half"], folder)
        (folder / path).write_text(TOPIC.replace("HIDDEN", "True") + path)
        assert stamps("01_x", ["half"], folder) != before


def test_a_stamp_follows_our_modules_as_far_as_they_import():
    def names(topic):
        return {path.relative_to(ROOT).as_posix() for path in reached([ROOT / f"solutions/{topic}/{topic}.py"])}

    assert {"mini_engine/rope.py", "mini_engine/files/gguf.py", "mini_engine/data/tiny.npz"} <= names("03_kv_cache")
    assert not names("01_tokens_to_logits")
    assert {"autograder/auditor/mutants.py", "autograder/scoring.py"} <= {
        path.relative_to(ROOT).as_posix() for path in reached([AUDITOR])
    }


def outcome(answer, cpu_limit_s=3):
    cells, _ = split_cells(TOPIC.replace("HIDDEN", STRONG))
    topic = Topic("01_x", cells)
    [(_, run)] = score_all(topic, 1, [("key", {"half": answer}, ["half"], cpu_limit_s, False)])
    return run


HOSTILE = {
    "nothing": ("", "NameError: name 'half' is not defined"),
    "name of the test's helper": ("def half(x):\n    return x / helper\n", "name 'helper' is not defined"),
    "name of the hidden test": ("def half(x):\n    return x / 2 if x == 4 else d\n", "name 'd' is not defined"),
    "endless loop": ("def half(x):\n    while True:\n        pass\n", "ran longer than 1 s"),
    "memory": ("def half(x):\n    return np.ones(1 << 40).sum()\n", "MemoryError"),
    "ends the process": ("import os\nos._exit(0)\n", "ended the process"),
    "exit": ("raise SystemExit\n", "SystemExit"),
    "recursion": ("def half(x):\n    return half(x)\n", "RecursionError"),
    "syntax": ("def half(x:\n", "SyntaxError"),
}


@pytest.mark.parametrize("answer, reason", HOSTILE.values(), ids=HOSTILE)
def test_a_bad_answer_loses_points_and_nothing_else_breaks(answer, reason):
    run = outcome(answer, cpu_limit_s=1)
    assert run.total < 3
    assert any(reason in text for text in run.reasons.values()), run.reasons


def test_an_answer_scores_by_cell():
    run = outcome("def half(x):\n    print('noise')\n    return 2\n")
    assert run.points == {"test_half": 1, "hidden_half": 0}
    assert outcome("def half(x):\n    return x / 2\n").total == 3


def test_command_prints_the_table_and_fails_on_a_miss(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(command, "ROOT", course(tmp_path, hidden="half(4) == 2"))
    assert __main__.main(["audit", "01_x"]) == 1
    printed = capsys.readouterr().out
    assert "mutant survives" in printed and "01_x/half" in printed
    assert __main__.main(["audit", "01_x", "--json"]) == 1
    assert json.loads(capsys.readouterr().out)[0]["wrong_caught"] == 0
    assert __main__.main(["audit", "99_none"]) == 1
    assert __main__.main(["audit", "01_x", "--exercise", "none"]) == 1
