"""The course as programs see it: run an nbgrader command, make a submission, read the gradebook."""

import copy
import os
import subprocess
import sys
from pathlib import Path

import nbformat
from nbgrader.api import Gradebook

WAITS = "waits"
# as `nbgrader`, but this package first, which halves its start, see __init__.py
NBGRADER = [sys.executable, "-c", "import autograder.grading; from nbgrader.apps.nbgraderapp import main; main()"]
ROOT = Path(__file__).resolve().parents[2]
run = subprocess.run  # the tests put a quicker start here


class CommandFailed(RuntimeError):
    """An nbgrader command ended with an error; the text holds the end of what it said."""


def nbgrader(*arguments, work, root=ROOT, folder=None):
    """Runs `nbgrader ARGUMENTS` as an instructor would, with the class kept in the folder `work`; returns its log.

    Raises CommandFailed where it exits with another code than 0.
    """
    environment = {**os.environ, "COURSE_WORK": str(work), "PYTHONPATH": str(root), "MPLBACKEND": "agg"}
    environment.setdefault("OMP_NUM_THREADS", "1")
    command = [*NBGRADER, *arguments]
    done = run(command, cwd=folder or root, env=environment, capture_output=True, text=True)
    if done.returncode:
        raise CommandFailed(f"nbgrader {' '.join(arguments)} exits with {done.returncode}:\n{done.stderr[-3000:]}")
    return done.stderr


def database(work):
    """The address of the gradebook of the class kept in `work`."""
    return os.environ.get("NBGRADER_DB_URL", f"sqlite:///{Path(work).resolve() / 'gradebook.db'}")


def submission(assignment, answers, root=ROOT):
    """The released notebook with `answers` {grade_id: source} in its cells; other cells stay as released."""
    notebook = nbformat.read(root / "notebooks" / assignment / f"{assignment}.ipynb", as_version=4)
    notebook = copy.deepcopy(notebook)
    for cell in notebook.cells:
        name = cell.metadata.get("nbgrader", {}).get("grade_id")
        cell.source = answers.get(name, cell.source)
    return notebook


def reference_answers(assignment, root=ROOT):
    """{grade_id: source} of every solution cell and written answer, from the nbgrader source notebook."""
    notebook = nbformat.read(root / "solutions" / assignment / f"{assignment}.ipynb", as_version=4)
    marked = [cell for cell in notebook.cells if cell.metadata.get("nbgrader", {}).get("solution")]
    return {cell.metadata.nbgrader.grade_id: cell.source for cell in marked}


def hand_in(work, student, assignment, content, name=None):
    """Puts a student's notebook (or any text) where nbgrader collects submissions; returns its path."""
    path = Path(work, "submitted", student, assignment, name or f"{assignment}.ipynb")
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(content if isinstance(content, str) else nbformat.writes(content), encoding="utf-8")
    return path


def grades(work, assignment):
    """{student: {grade_id: score}} from the gradebook; a score is None where a person must still give it."""
    with Gradebook(database(work)) as gradebook:
        found = {}
        for entry in gradebook.assignment_submissions(assignment):
            cells = [grade for notebook in entry.notebooks for grade in notebook.grades]
            found[entry.student.id] = {grade.name: None if grade.needs_manual_grade else grade.score for grade in cells}
    return found


def max_scores(work, assignment):
    """{grade_id: points} of an assignment in the gradebook."""
    with Gradebook(database(work)) as gradebook:
        return {
            cell.name: cell.max_score
            for notebook in gradebook.find_assignment(assignment).notebooks
            for cell in notebook.grade_cells
        }


def class_table(work, assignment):
    """(header, rows) of the class: a student's points per exercise, the sum, the maximum, what waits for a person.

    WAITS stands where nothing is given yet because a person must look.
    """
    worth = max_scores(work, assignment)
    exercises = list(dict.fromkeys(exercise_of(name) for name in worth))
    rows = []
    for student, scores in sorted(grades(work, assignment).items()):
        points = dict.fromkeys(exercises, 0.0)
        for name, score in scores.items():
            points[exercise_of(name)] += score or 0
        waiting = {exercise_of(name) for name, score in scores.items() if score is None}
        shown = [WAITS if name in waiting and not score else score for name, score in points.items()]
        num_waiting = sum(score is None for score in scores.values())
        rows.append([student, *shown, sum(points.values()), sum(worth.values()), num_waiting])
    return ["student", *exercises, "points", "of", "to grade by hand"], rows


def write_texts(folder, texts):
    """Writes {name: text} into a folder, which is made where it is missing; returns the paths."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in texts.items():
        (folder / name).write_text(text, encoding="utf-8")
    return [folder / name for name in texts]


def exercise_of(grade_id):
    return grade_id.removeprefix("test_").removeprefix("hidden_")


def as_text(header, rows):
    """The table in columns; the exercises' names are numbered below it, since they are long."""
    short = [header[0], *(str(number) for number in range(1, len(header) - 3)), *header[-3:]]
    cells = [short, *([f"{value:g}" if isinstance(value, float) else str(value) for value in row] for row in rows)]
    widths = [max(len(row[column]) for row in cells) for column in range(len(short))]
    lines = ["  ".join([row[0].ljust(widths[0]), *map(str.rjust, row[1:], widths[1:])]) for row in cells]
    return "\n".join([*lines, "", *(f"{number:>3}  {name}" for number, name in enumerate(header[1:-3], 1))])
