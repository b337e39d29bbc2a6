"""A course of one small assignment in a folder of its own, graded by real nbgrader commands."""

import shutil
from pathlib import Path

import pytest

from autograder.assignment import notebooks
from autograder.auditor.compare import compare
from autograder.grading import course
from autograder.outside import devices

TOPIC = "01_x"
TOPICS = sorted(path.stem for path in (course.ROOT / "solutions").glob("*/*.py"))  # of the course itself
SHARE = 8  # of the starters and wrong answers; `python -m autograder audit --outside` takes them all
HEADER = """# ---
# jupyter:
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---
"""
SETUP = """
# %% setup=True
import math

SCALE = 2.0
"""
EXERCISE = '''
# %% [markdown] task="NAME" stars=1 minutes=5
# ## The NAME
#
# Half of `x`, times `SCALE / 2`.
#
# <details><summary>Hint 1</summary>
#
# Think of *division*, for `NAME`.
#
# </details>
#
# <details><summary>Hint 2</summary>
#
# Nearly code.
#
# </details>

# %% solution="NAME"
def NAME(x):
    """NAME of x."""
    ### BEGIN SOLUTION
    return x / 2
    ### END SOLUTION

# %% tryit="NAME"
print(NAME(1))

# %% test="NAME" points=1
def test_NAME():
    assert NAME(8) == 4, f"NAME(8) is 4, you returned {NAME(8)}: is it halved?"


test_NAME()

# %% hidden="NAME" points=2
def hidden_NAME():
    x = 7331.5 + len("NAME")
    assert NAME(x) == x / 2, f"of {x} the NAME is {x / 2}, you returned {NAME(x)}: whole numbers only?"


hidden_NAME()
'''
ANSWER = """
# %% [markdown] answer="why" points=2
# **Why?**
#
# ### BEGIN SOLUTION
# Because.
# ### END SOLUTION
"""
NAMES = ("half", "middle")


def right(name):
    return f"def {name}(x):\n    return x / 2\n"


def floored(name):
    return f"def {name}(x):\n    return x // 2\n"


def script(names=NAMES, exercise=EXERCISE):
    return HEADER + SETUP + "".join(exercise.replace("NAME", name) for name in names) + ANSWER


def make_course(root, text=None):
    """The course in the folder `root`: this repository's autograder with the one assignment; returns `root`."""
    root = Path(root)
    skip = shutil.ignore_patterns(
        "audit", "audit_table.json", "hostile", "demo", "submitted", "autograded", "feedback", "downloaded",
        "quarantine", "received", "regrade", "report", "lms", "*.db", "__pycache__", "release", "_run",
    )  # fmt: skip
    shutil.copytree(course.ROOT / "autograder", root / "autograder", ignore=skip)
    shutil.copyfile(course.ROOT / "nbgrader_config.py", root / "nbgrader_config.py")
    write_script(root, text or script())
    return root


def needs_device(assignment):
    """Skips a test, and says so, where the assignment's tests run kernels and this machine cannot."""
    why = devices.objection_to(assignment)
    if why:
        pytest.skip(why)


def agrees_outside(assignment):
    """Compares the tester outside with the same tests in the answer's process, on a sample of a topic's bank."""
    needs_device(assignment)
    found = compare(assignment, share=SHARE, mutants=1)
    assert found.answers > 20 and not found.differences, "\n".join(found.differences)


def write_script(root, text):
    """Writes the assignment's script and makes both notebooks of it, as `make notebooks` does."""
    path = root / "solutions" / TOPIC / f"{TOPIC}.py"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
    for made, content in notebooks.build(path, root / "notebooks", notebooks.course_config()).items():
        made.parent.mkdir(parents=True, exist_ok=True)
        made.write_bytes(content)
