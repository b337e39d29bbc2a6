"""What is scored: an assignment with its banks, and every answer to an exercise that the audit knows or makes."""

import contextlib
import os
import shutil
import tempfile
from pathlib import Path

from autograder.assignment.cells import starter_of
from autograder.assignment.script import read_script
from autograder.scoring import Topic

from .bank import read_bank
from .mutants import mutants

ROOT = Path(__file__).resolve().parent.parent.parent


def read_banks(name, root):
    """(cells, {exercise: Bank}) of one assignment."""
    cells = read_script(root / "solutions" / name / f"{name}.py")
    folder = root / "autograder" / "audit" / name
    exercises = [cell for cell in cells if cell.kind == "solution"]
    return cells, {cell.name: read_bank(folder / f"{cell.name}.txt", cell.source) for cell in exercises}


def load_topic(name, root):
    """(Topic, {exercise: Bank}, stray bank files) of one assignment; runs its set-up cells."""
    cells, banks = read_banks(name, root)
    folder = root / "autograder" / "audit" / name
    stray = [path.name for path in sorted(folder.glob("*")) if path.suffix != ".txt" or path.stem not in banks]
    sources = [answer.source for bank in banks.values() for answer in (*bank.wrong.values(), *bank.right.values())]
    return Topic(name, cells, sources), banks, stray


def candidates_of(exercise, source, bank):
    """Yields ((kind, exercise, name), {exercise: answer}) of everything to score but the reference `source` itself."""
    yield ("starter", exercise, ""), {exercise: starter_of(source)}
    for kind, answers in (("wrong", bank.wrong), ("right", bank.right)):
        for name, answer in answers.items():
            yield (kind, exercise, name), {exercise: answer.source}
    for mutant in mutants(source):
        yield ("mutant", exercise, mutant.change), {exercise: mutant.source}


@contextlib.contextmanager
def scratch_folder(source):
    """Changes into a temporary folder that holds the data files of the assignment in the folder `source`."""
    here = os.getcwd()
    with tempfile.TemporaryDirectory(prefix="audit-") as scratch:
        ignore = shutil.ignore_patterns("*.py", "*.ipynb", "__pycache__", ".*")
        shutil.copytree(source, scratch, dirs_exist_ok=True, ignore=ignore)
        os.chdir(scratch)
        try:
            yield
        finally:
            os.chdir(here)
