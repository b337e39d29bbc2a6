"""An assignment as the book reads it: from its nbgrader source notebook, and never a hidden test's text.

The text, starter and solution have one home, solutions/NN_topic/NN_topic.py; stars, minutes and points travel as the
metadata `course` of the lead-in cell.
"""

import re
from functools import cache
from pathlib import Path

import nbformat
from nbgrader.preprocessors import ClearSolutions
from traitlets.config import PyFileConfigLoader

from autograder.assignment.notebooks import bare, effort_line

MARKS = re.compile(r"^[ \t]*### (?:BEGIN|END) SOLUTION[ \t]*$\n?", re.MULTILINE)
MODEL_ANSWER = re.compile(r"### BEGIN SOLUTION\s*\n(.*?)\n?\s*### END SOLUTION", re.DOTALL)
HINT = re.compile(r"<details>\s*<summary>(.*?)</summary>(.*?)</details>", re.DOTALL)


class ExerciseError(ValueError):
    """The exercise asked for cannot be shown. The message is one line and says what to do."""


@cache
def read_notebook(path, _changed):
    return nbformat.read(path, as_version=4).cells


def load_cells(root, assignment):
    """Cells of the source notebook of an assignment. root: the repository. Raises ExerciseError."""
    path = Path(root) / "solutions" / assignment / f"{assignment}.ipynb"
    if not path.is_file():
        raise ExerciseError(f"{path.relative_to(root)} does not exist: run 'make notebooks'")
    return read_notebook(path, path.stat().st_mtime_ns)


def grade_id(cell):
    return cell.metadata.get("nbgrader", {}).get("grade_id")


@cache
def course_config(root):
    """The course's nbgrader configuration, so that the starter here is the one that students get."""
    path = Path(root) / "autograder" / "nbgrader_config.py"
    return PyFileConfigLoader(path.name, path=str(path.parent)).load_config()


def starter_source(cell, config):
    """The cell as a student gets it: nbgrader's own ClearSolutions, with the course's configuration."""
    copy = nbformat.from_dict(cell)
    ClearSolutions(config=config).preprocess_cell(copy, {"language": "python"}, 0)
    return copy.source


def split_title(prompt):
    """Title and body of a lead-in: its heading, or the bold question that a written answer opens with."""
    heading = re.match(r"#+ +(.+)\n?|\*\*(.+?)\*\*\s*", prompt)
    if heading is None:
        return "Written answer", prompt
    return (heading[1] or heading[2]).strip(), prompt[heading.end() :]


def exercise_names(root, assignment):
    """grade_ids of all exercises of an assignment, written answers too, in order. Raises ExerciseError."""
    marked = (cell for cell in load_cells(root, assignment) if cell.metadata.get("nbgrader", {}).get("solution"))
    return [grade_id(cell) for cell in marked]


def read_exercise(root, assignment, name):
    """Everything that the book shows of one exercise.

    Returns a dict: grade_id, title, effort ({stars, minutes, points}; of a written answer the points alone), lead
    (Markdown), hints (list of (summary, Markdown)), starter, solution (code, or Markdown for a written answer),
    written (bool), checks (source of the visible tests, or ""). Raises ExerciseError.
    """
    cells = load_cells(root, assignment)
    places = {grade_id(cell): i for i, cell in enumerate(cells)}
    found = places.get(name, places.get(f"answer_{name}"))  # both may exist: the exact name wins
    if found is None:
        raise ExerciseError(f"{assignment} has no exercise {name!r}")
    cell = cells[found]
    written = cell.cell_type == "markdown"
    effort = {"points": cell.metadata["nbgrader"].get("points", 0)} if written else {}
    prompt = bare(cell.source).partition("### BEGIN SOLUTION")[0] if written else ""
    if not prompt.strip():
        before = cells[found - 1]
        if before.cell_type != "markdown":
            raise ExerciseError(f"{assignment}: the cell before {name!r} is not its lead-in")
        prompt = before.source
        effort = before.metadata.get("course", effort)
    title, body = split_title(prompt.strip())
    if "stars" in effort:
        body = body.replace(effort_line(**effort), "", 1)
    checks = next((c.source for c in cells if grade_id(c) == f"test_{name}"), "")
    answer = MODEL_ANSWER.search(cell.source)
    return {
        "grade_id": grade_id(cell),
        "title": title,
        "effort": effort,
        "lead": HINT.sub("", body).strip(),
        "hints": [(summary.strip(), hint.strip()) for summary, hint in HINT.findall(body)],
        "starter": "" if written else starter_source(cell, course_config(root)),
        "solution": (answer.group(1) if answer else "") if written else MARKS.sub("", cell.source),
        "written": written,
        "checks": bare(checks),
    }


def effort_words(effort):
    """What an exercise takes, as one line: "★★ · 15 minutes · 3 points"; "written answer · 2 points"."""
    if "stars" in effort:
        return effort_line(**effort)
    points = effort.get("points")
    return f"written answer · {points} point{'s' * (points != 1)}" if points else ""


def exercise_efforts(root, assignment):
    """The efforts of all exercises of an assignment, in order; empty where it has none."""
    try:
        names = exercise_names(root, assignment)
    except ExerciseError:
        return []
    return [read_exercise(root, assignment, name)["effort"] for name in names]
