"""What a student reads after grading: own code, what each check said, a hint for each lost point.

Of a hidden check only its own words are shown, as they stand in the test's source: no value that the test computed, no
number, no quoted text, nothing that the student's code could have put there. A visible check's message is shown whole.
"""

import ast
import builtins
import re
from pathlib import Path

import mistune
from nbconvert.exporters import HTMLExporter
from nbgrader import utils
from nbgrader.preprocessors import GetGrades, NbGraderPreprocessor

from autograder.intake import NOTES_HEADING

MAX_MESSAGE_CHARS = 600
MIN_WORDS = 8  # letters; less says nothing
ANSI = re.compile(r"\x1b\[[0-9;]*[A-Za-z]")
DATA = re.compile(
    r"""(?<!\w)(['"`])[^'"`]{1,80}\1(?!\w)"""  # a quoted text
    r"|(?<![\w.])(?<!\w-)[-+]?\d[\d_]*(?:\.\d+)?(?:e[-+]?\d+)?"  # a number, not those in float32 and Llama-2-7B
)
GAP = "…"
GENERAL = "a result is not what it should be, on inputs that the checks in the notebook do not try."
ENDED = "the notebook's process had ended (exit, crash or out of memory)."
SENTENCES = {
    "AssertionError": GENERAL,
    "NotImplementedError": "it is not written yet.",
    "DeadKernelError": ENDED,
    "StudentProcessError": ENDED,
    "CellTimeoutError": "it ran too long.",
    "TimeoutError": "it ran too long.",
}


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
        view = {"notes": [], "sections": [], "chapter": chapter_of(resources["nbgrader"]["assignment"])}
        section, told = {}, False
        for cell in nb.cells:
            marks = cell.metadata.get("nbgrader", {})
            grade_id = marks.get("grade_id", "")
            if cell.source.startswith(NOTES_HEADING):
                view["notes"] = re.findall(r"^- (.*)", cell.source, re.M)
            elif grade_id.startswith("task_"):
                section = new_section(*read_lead_in(cell.source))
                view["sections"].append(section)
            elif utils.is_grade(cell) and utils.is_solution(cell):
                view["sections"].append(written_answer(cell, marks))
            elif utils.is_grade(cell):
                told = told or grade_id.startswith("hidden_")
                add_check(section, cell, marks)
            elif utils.is_solution(cell):
                section.update(source=cell.source, comment=marks.get("comment"))
            if cell.cell_type == "code" and not utils.is_grade(cell):
                section = section or first_section(view)
                section["errors"] += own_errors(cell, nb.cells, told)
        for section in view["sections"]:
            section["hint"] = section["hint"] if section["points"] < section["of"] else ""
        view["waits"] = sum(bool(section["waits"]) for section in view["sections"])
        nb.metadata["feedback"], nb.cells = view, []
        return nb, resources


def new_section(heading, hint=""):
    empty = {"checks": [], "errors": [], "points": 0, "of": 0, "source": "", "comment": "", "waits": False}
    return {"heading": heading, "hint": markdown(hint), **empty}


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


def add_check(section, cell, marks):
    hidden = marks["grade_id"].startswith("hidden_")
    section["checks"].append(
        {
            "hidden": hidden,
            "points": marks["score"],
            "of": marks["points"],
            "message": hidden_words(cell) if hidden else message_of(cell),
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
    config = Path(__file__).resolve().parent.parent / "_config.yml"
    found = re.search(r"^\s*html_baseurl:\s*(https?://\S+)", config.read_text(), re.M) if config.exists() else None
    if not found or "example.org" in found[1]:
        return ""
    return f"{found[1].rstrip('/')}/book/{assignment}.html"


def error_of(cell):
    """The first error among a cell's outputs, or None."""
    return next((output for output in cell.get("outputs", []) if output.output_type == "error"), None)


def message_of(cell):
    """Why a test cell failed, in one line without a traceback; "" where it passed."""
    error = error_of(cell)
    if error is None:
        return ""
    text = ANSI.sub("", error.evalue).strip().split("\n\n")[0]
    name = "" if error.ename == "AssertionError" else f"{error.ename}: "
    return (name + (text or "the check failed"))[:MAX_MESSAGE_CHARS]


def hidden_words(cell):
    """Why a hidden check failed, in words of its source; "" where it passed."""
    error = error_of(cell)
    if error is None:
        return ""
    words = ""
    if error.ename == "AssertionError":
        words = best_wording(wordings(cell.source), ANSI.sub("", error.evalue).strip())
    return words or SENTENCES.get(error.ename) or f"your code raises {known_name(error.ename)} there."


def known_name(ename):
    """The name of an exception, which a student's own class could misuse to tell something."""
    found = getattr(builtins, ename, None)
    return ename if isinstance(found, type) and issubclass(found, BaseException) else "an error"


def wordings(source):
    """Every message that a test's source can give: a list of (parts, whole). A part is text, or None for a value.

    whole: the message is all that is raised; numpy.testing wraps its own words around an err_msg.
    """
    try:
        tree = ast.parse(source)
    except SyntaxError:
        return []
    named = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.Assign) and len(node.targets) == 1 and isinstance(node.targets[0], ast.Name):
            named.setdefault(node.targets[0].id, []).append(node.value)
    found = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Assert) and node.msg is not None:
            found += [(parts, True) for parts in alternatives(node.msg, named)]
        elif isinstance(node, ast.Raise) and isinstance(node.exc, ast.Call) and node.exc.args:
            found += [(parts, True) for parts in alternatives(node.exc.args[0], named)]
        elif isinstance(node, ast.keyword) and node.arg == "err_msg":
            found += [(parts, False) for parts in alternatives(node.value, named)]
    return found


def alternatives(node, named, depth=3):
    """The lists of parts that an expression of text can give."""
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        return [[node.value]]
    if isinstance(node, ast.JoinedStr):
        return [[part.value if isinstance(part, ast.Constant) else None for part in node.values]]
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Add):
        left, right = alternatives(node.left, named, depth), alternatives(node.right, named, depth)
        return [a + b for a in left for b in right]
    if isinstance(node, ast.IfExp):
        return alternatives(node.body, named, depth) + alternatives(node.orelse, named, depth)
    if isinstance(node, ast.Name) and depth:
        return [parts for value in named.get(node.id, []) for parts in alternatives(value, named, depth - 1)]
    return [[None]]


def best_wording(found, text):
    """The words of the message that `text` was made from, without any data; "" where none fits."""
    best, most = "", MIN_WORDS - 1
    for parts, whole in found:
        texts = [part for part in parts if part is not None]
        letters = sum(map(str.isalpha, "".join(texts)))
        if letters > most and fits(parts, text, whole):
            shown = GAP.join(DATA.sub(GAP, part) for part in joined(parts))
            best, most = re.sub(rf"{GAP}(?:[\s,;()\[\]]*{GAP})+", GAP, shown).strip(), letters
    return best


def joined(parts):
    """The texts before, between and after the values."""
    texts = [""]
    for part in parts:
        if part is None:
            texts.append("")
        else:
            texts[-1] += part
    return texts


def fits(parts, text, whole):
    """Whether the parts' texts stand in `text` in their order, with anything where a value was."""
    texts, place = [part.strip() if part.isspace() else part for part in joined(parts)], 0
    texts[0], texts[-1] = texts[0].lstrip(), texts[-1].rstrip()
    if whole and not (text.startswith(texts[0]) and text.endswith(texts[-1])):
        return False
    for part in texts:
        place = text.find(part, place)
        if place < 0:
            return False
        place += len(part)
    return True


def own_errors(cell, cells, told):
    """[{"line", "text"}] for an error in a cell of the student's: its last line, and the line of code that it is about.

    told: a hidden check has run before, so the error's text could tell of it; then only its kind is shown.
    """
    error = error_of(cell)
    if error is None:
        return []
    text = ANSI.sub("", error.evalue).strip().split("\n")[0]
    shown = known_name(error.ename) if told else f"{error.ename}: {text}"[:MAX_MESSAGE_CHARS]
    places = re.findall(r"(?:Cell |In ?\[)[^\n]*?\[?(\d+)\], line (\d+)", ANSI.sub("", "\n".join(error.traceback)))
    line = ""
    for count, number in places:
        source = next((c.source for c in cells if c.get("execution_count") == int(count) and not utils.is_grade(c)), "")
        lines = source.split("\n")
        line = lines[int(number) - 1].strip() if 0 < int(number) <= len(lines) else line
    return [{"line": line, "text": shown}]
