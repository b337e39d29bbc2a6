"""What a student reads after grading: own code, what each check said, a hint for each lost point.

Of a hidden check only its own words are shown, as they stand in the test's source: no value that the test computed, no
number, no quoted text, nothing that the student's code could have put there. The same holds for visible checks and the
student's own cells once a hidden check has run: what it was given could be told there. Before that they show all.
"""

import ast
import re
from pathlib import Path

import mistune
import nbformat
from nbconvert.exporters import HTMLExporter
from nbgrader import utils
from nbgrader.preprocessors import GetGrades, NbGraderPreprocessor

from autograder.intake.graft import notes_of
from autograder.results.wording import (
    ANSI,
    ENDINGS,
    GAP,
    SENTENCES,
    ending,
    error_of,
    hidden_words,
    known_name,
    tried_of,
)

ROOT = Path(__file__).resolve().parents[2]
MAX_MESSAGE_CHARS = 600
HERE = " (Run this check in your notebook to see the values.)"
UNSEEN = "it stops with an error; run your notebook from its top to see it."
SYNTAX_ERRORS = ("SyntaxError", "IndentationError", "TabError")


class FeedbackExporter(HTMLExporter):
    """A student's page. A class of its own, so that its template is not taken for the formgrader's pages."""


class CourseGrades(GetGrades):
    """nbgrader's GetGrades, and whether a person must still look."""

    def _get_score(self, cell, resources):
        super()._get_score(cell, resources)
        grade = self.gradebook.find_grade(
            cell.metadata.nbgrader["grade_id"], self.notebook_id, self.assignment_id, self.student_id
        )
        cell.metadata.nbgrader["waits"] = grade.needs_manual_grade


class FeedbackView(NbGraderPreprocessor):
    """Puts what the template shows into the notebook's metadata, and takes every cell away."""

    def preprocess(self, nb, resources):
        assignment = resources["nbgrader"]["assignment"]
        view = {"notes": notes_of(nb.cells), "sections": []}
        view |= {"title": title_of(assignment), "chapter": chapter_of(assignment)}
        section, hidden_ran = {}, False
        for cell in nb.cells:
            marks = cell.metadata.get("nbgrader", {})
            grade_id = marks.get("grade_id", "")
            if grade_id.startswith("task_"):
                section = new_section(*read_lead_in(cell.source))
                view["sections"].append(section)
            elif utils.is_grade(cell) and utils.is_solution(cell):
                view["sections"].append(written_answer(cell, marks))
            elif utils.is_grade(cell):
                hidden_ran = hidden_ran or grade_id.startswith("hidden_")
                add_check(section, cell, marks, hidden_ran)
            elif utils.is_solution(cell):
                section.update(source=cell.source, comment=marks.get("comment"))
                missing = missing_name(grade_id, cell.source)
                section["errors"] += missing
                section["hint"] = "" if missing else section["hint"]  # no idea helps a function that is not there
            if cell.cell_type == "code" and not utils.is_grade(cell):
                section = section or first_section(view)
                found = own_errors(cell, nb.cells, hidden_ran)
                section["errors"] += [error for error in found if error not in section["errors"]]
        for section in view["sections"]:
            section["hint"] = section["hint"] if section["points"] < section["of"] else ""
        view["waits"] = sum(bool(section["waits"]) for section in view["sections"])
        nb.metadata["feedback"], nb.cells = view, []
        return nb, resources


def new_section(heading, hint=""):
    empty = {"checks": [], "errors": [], "points": 0, "of": 0, "source": "", "comment": "", "waits": False}
    return {"heading": heading, "hint": markdown(hint), **empty}


def title_of(assignment, root=ROOT):
    """The heading of the released notebook, never of the student's; "" where there is none."""
    path = root / "notebooks" / assignment / f"{assignment}.ipynb"
    first = nbformat.read(path, as_version=4).cells[0] if path.exists() else None
    found = re.match("# +(.+)", first.source) if first and first.cell_type == "markdown" else None
    return found[1] if found else ""


def first_section(view):
    view["sections"].insert(0, new_section("Before the exercises"))
    return view["sections"][0]


def written_answer(cell, marks):
    name = marks["grade_id"].removeprefix("answer_").replace("_", " ")
    section = new_section(f"Written answer: {name}")
    return section | {
        "source": cell.source,
        "points": marks["score"],
        "of": marks["points"],
        "waits": marks.get("waits", False),
        "comment": marks.get("comment"),
    }


def add_check(section, cell, marks, hidden_ran):
    hidden = marks["grade_id"].startswith("hidden_")
    masked = hidden_words(cell, is_visible=not hidden) if hidden_ran else message_of(cell)
    section["checks"].append(
        {
            "hidden": hidden,
            "points": marks["score"],
            "of": marks["points"],
            "message": masked + (HERE if GAP in masked and not hidden else ""),
        }
    )
    section["points"] += marks["score"]
    section["of"] += marks["points"]


def read_lead_in(source):
    """(heading, first hint) of an exercise's lead-in."""
    hint = re.search(r"<summary>Hint 1</summary>\s*(.*?)\s*</details>", source, re.S)
    return source.split("\n")[0].lstrip("# "), hint.group(1) if hint else ""


def markdown(text):
    """HTML of a hint. It is the course's own text; formulas stay as they are written."""
    return mistune.create_markdown(escape=True)(text)


def chapter_of(assignment):
    """The address of the chapter in the published book, "" where _config.yml names none."""
    config = ROOT / "_config.yml"
    found = re.search(r"^\s*html_baseurl:\s*(https?://\S+)", config.read_text(), re.M) if config.exists() else None
    if not found or "example.org" in found[1]:
        return ""
    return f"{found[1].rstrip('/')}/book/{assignment}.html"


def message_of(cell):
    """Why a test cell failed, in one line without a traceback; "" where it passed."""
    error = error_of(cell)
    if error is None:
        return ""
    text = ANSI.sub("", error.evalue).strip().split("\n\n")[0]
    if error.ename == "NotImplementedError" and not text:
        return SENTENCES[error.ename]
    name = "" if error.ename == "AssertionError" else f"{error.ename}: "
    tried = f" ({tried_of(error)})" if tried_of(error) else ""
    return (name + (text or "the check failed"))[: MAX_MESSAGE_CHARS - len(tried)] + tried


def own_errors(cell, cells, hidden_ran):
    """[{"line", "text"}] for an error in a cell of the student's: its last line, and the line of code that it is about.

    hidden_ran: a hidden check has run before, so the cell could tell of it, by its text, by the line, by which of many
    cells fail. Then a solution cell shows its kind of error, and of the other cells of an exercise one line is shown.
    What keeps a solution cell from being read as Python is found by our own reading of it, so it is always shown.
    """
    error = error_of(cell)
    if error is None:
        return []
    if hidden_ran and not utils.is_solution(cell):
        return [{"line": "", "text": UNSEEN}]
    fault = syntax_fault(cell.source) if error.ename in SYNTAX_ERRORS else None
    if fault:
        return [fault]
    if error.ename in ENDINGS:
        return [{"line": "", "text": ending(error)}]
    if hidden_ran:
        return [{"line": "", "text": f"{known_name(error.ename)}: run your notebook from its top to see it."}]
    text = ANSI.sub("", error.evalue).strip().split("\n")[0]
    return [{"line": line_of(error, cells), "text": f"{error.ename}: {text}"[:MAX_MESSAGE_CHARS]}]


def line_of(error, cells):
    """The last line of the student's code that a traceback names."""
    places = re.findall(r"(?:Cell |In ?\[)[^\n]{0,40}?\[?(\d+)\], line (\d+)", ANSI.sub("", "\n".join(error.traceback)))
    line = ""
    for count, number in places:
        source = next((c.source for c in cells if c.get("execution_count") == int(count) and not utils.is_grade(c)), "")
        lines = source.split("\n")
        line = lines[int(number) - 1].strip() if 0 < int(number) <= len(lines) else line
    return line


def missing_name(name, source):
    """[{"line", "text"}] where a cell does not define what it is there to define, [] where it does."""
    try:
        body = ast.parse(source).body
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return []
    kinds = (ast.FunctionDef, ast.ClassDef, ast.AsyncFunctionDef)
    defined = [node.name for node in body if isinstance(node, kinds)]
    assigned = {node.id for node in ast.walk(ast.Module(body, [])) if isinstance(node, ast.Name)}
    if name in defined or name in assigned or not body:
        return []
    yours = f"; yours is {defined[-1]}" if defined else ""
    return [{"line": "", "text": f"the checks look for {name}, and the cell does not define it{yours}."}]


def syntax_fault(source):
    """{"line", "text"} of what keeps a cell from being read as Python, None where nothing does."""
    try:
        ast.parse(source)
    except SyntaxError as error:
        lines = source.split("\n")
        line = lines[error.lineno - 1].strip() if error.lineno and error.lineno <= len(lines) else ""
        return {"line": line, "text": f"{type(error).__name__}: {error.msg} (line {error.lineno} of the cell)"}
    except (ValueError, RecursionError, MemoryError):
        return None
    return None
