"""The directive `nbexercise`: an exercise of an assignment, read from its nbgrader source notebook.

The text, starter and solution have one home, solutions/NN_topic/NN_topic.py; this shows them and holds none. Hidden
tests are never read.
"""

import re
from pathlib import Path

import nbformat
from docutils import nodes
from nbgrader.preprocessors import ClearSolutions
from sphinx import addnodes
from sphinx.util.docutils import SphinxDirective
from traitlets.config import PyFileConfigLoader

from book._ext.html_element import element, parse_markdown, text
from book.tools import vendor

MARKS = re.compile(r"^[ \t]*### (?:BEGIN|END) SOLUTION[ \t]*$\n?", re.MULTILINE)
MODEL_ANSWER = re.compile(r"### BEGIN SOLUTION\s*\n(.*?)\n?\s*### END SOLUTION", re.DOTALL)
HINT = re.compile(r"<details>\s*<summary>(.*?)</summary>(.*?)</details>", re.DOTALL)
EFFORT = re.compile(r"^★.*points?\W*$", re.MULTILINE)


class ExerciseError(ValueError):
    """The exercise asked for cannot be shown. The message is one line and says what to do."""


def load_cells(root, assignment):
    """Cells of the source notebook of an assignment. root: the repository. Raises ExerciseError."""
    path = Path(root) / "solutions" / assignment / f"{assignment}.ipynb"
    if not path.is_file():
        raise ExerciseError(f"{path.relative_to(root)} does not exist: run 'make notebooks'")
    return nbformat.read(path, as_version=4).cells


def grade_id(cell):
    return cell.metadata.get("nbgrader", {}).get("grade_id")


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


def written_points(cell):
    points = cell.metadata["nbgrader"].get("points")
    return f"written answer · {points} points" if points else ""


def read_exercise(root, assignment, name):
    """Everything that the book shows of one exercise.

    Returns a dict: grade_id, title, effort (the line with stars, minutes and points, or ""), lead (Markdown), hints
    (list of (summary, Markdown)), starter, solution (code, or Markdown for a written answer), written (bool), checks
    (source of the visible tests, or ""). Raises ExerciseError.
    """
    cells = load_cells(root, assignment)
    places = {grade_id(cell): i for i, cell in enumerate(cells)}
    found = places.get(name, places.get(f"answer_{name}"))  # both may exist: the exact name wins
    if found is None:
        raise ExerciseError(f"{assignment} has no exercise {name!r}")
    cell = cells[found]
    written = cell.cell_type == "markdown"
    if written and not cell.source.lstrip().startswith("### BEGIN SOLUTION"):
        prompt = cell.source.partition("### BEGIN SOLUTION")[0]
    else:
        before = cells[found - 1]
        if before.cell_type != "markdown":
            raise ExerciseError(f"{assignment}: the cell before {name!r} is not its lead-in")
        prompt = before.source
    title, body = split_title(prompt.strip())
    effort = EFFORT.search(body)
    body = EFFORT.sub("", body, count=1)
    checks = next((c.source for c in cells if grade_id(c) == f"test_{name}"), "")
    answer = MODEL_ANSWER.search(cell.source)
    return {
        "grade_id": grade_id(cell),
        "title": title,
        "effort": effort.group(0).strip() if effort else written_points(cell) if written else "",
        "lead": HINT.sub("", body).strip(),
        "hints": [(summary.strip(), hint.strip()) for summary, hint in HINT.findall(body)],
        "starter": "" if written else starter_source(cell, course_config(root)),
        "solution": (answer.group(1) if answer else "") if written else MARKS.sub("", cell.source),
        "written": written,
        "checks": checks,
    }


def live_attributes(root, assignment, exercise):
    """The data attributes by which live.js knows an exercise: its kind ("live", "notebook", "written") and counts."""
    name = exercise["grade_id"]
    attrs = {"data_topic": assignment, "data_name": name, "data_kind": "written" if exercise["written"] else "notebook"}
    if exercise["written"]:
        return attrs
    from book._ext import live  # live reads notebooks through this module

    entry = next(item for item in live.cached_topic_data(root, assignment)["exercises"] if item["name"] == name)
    if entry["live"]:
        attrs["data_kind"] = "live"
    attrs |= {"data_hidden_checks": entry["hidden_checks"], "data_hidden_points": entry["hidden_points"]}
    if not vendor.python_is_present():
        attrs["data_python"] = vendor.PYODIDE_ADDRESS
    return attrs


class NbExercise(SphinxDirective):
    """`{nbexercise} assignment/name`."""

    required_arguments = 1

    def run(self):
        assignment, _, name = self.arguments[0].partition("/")
        root = Path(self.env.app.confdir)
        try:
            exercise = read_exercise(root, assignment, name)
        except ExerciseError as error:
            raise self.error(str(error)) from error
        source = root / "solutions" / assignment / f"{assignment}.ipynb"
        self.env.note_dependency(str(source))
        self.env.note_dependency(str(root / "autograder" / "nbgrader_config.py"))
        anchor = f"exercise-{name}"
        parts = [text("p", exercise["title"], class_="exercise-title", role="heading", aria_level=3, id=f"{anchor}-t")]
        if exercise["effort"]:
            parts.append(text("p", exercise["effort"], class_="exercise-effort"))
        parts += parse_markdown(self, exercise["lead"].splitlines(), source)
        if exercise["starter"]:
            parts.append(self.code(exercise["starter"], "exercise-starter"))
        live = live_attributes(root, assignment, exercise)
        if live.get("data_kind") == "notebook":
            parts.append(text("p", "This one needs torch: do it in the notebook.", class_="exercise-elsewhere"))
        for summary, hint in exercise["hints"]:
            parts.append(self.fold(summary, "exercise-hint", parse_markdown(self, hint.splitlines(), source)))
        if exercise["checks"]:
            parts.append(self.fold("The visible checks", "exercise-checks", [self.code(exercise["checks"], "")]))
        if self.config.exercise_solutions and exercise["solution"]:
            if exercise["written"]:
                shown = parse_markdown(self, exercise["solution"].splitlines(), source)
                parts.append(self.fold("Model answer", "exercise-solution", shown))
            else:
                parts.append(self.fold("Solution", "exercise-solution", [self.code(exercise["solution"], "")]))
        parts.append(self.buttons(assignment))
        attrs = {"class_": "exercise", "id": anchor, "role": "group", "aria_labelledby": f"{anchor}-t", **live}
        return [element("div", *parts, scripts=["live/store.js", "live/live.js"], **attrs)]

    def code(self, source, classes):
        block = nodes.literal_block(source, source, language="python", classes=[classes] if classes else [])
        block.document = self.state.document
        return block

    def fold(self, summary, classes, children):
        return element("details", text("summary", summary), *children, class_=classes)

    def buttons(self, assignment):
        """Links to the released notebook: its page in the book where it has one, and the file itself."""
        notebook = f"notebooks/{assignment}/{assignment}"
        line = nodes.paragraph(classes=["exercise-buttons"])
        if notebook in self.env.found_docs:
            line += addnodes.pending_xref(
                "",
                nodes.inline("", "Open the notebook"),
                refdomain="std",
                reftype="doc",
                reftarget=f"/{notebook}",
                refexplicit=True,
                refdoc=self.env.docname,
                refwarn=True,
            )
        if (Path(self.env.app.confdir) / f"{notebook}.ipynb").is_file():
            target = f"/{notebook}.ipynb"
            label = nodes.literal("", "Download the notebook", classes=["download"])
            line += addnodes.download_reference("", "", label, reftarget=target, refdoc=self.env.docname, refdomain="")
        return line


def setup(app):
    app.add_config_value("exercise_solutions", True, "env")
    app.add_directive("nbexercise", NbExercise)
