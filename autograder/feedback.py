"""What a student reads after grading: own code, what each check said, a hint for each lost point."""

import re

from nbgrader import utils
from nbgrader.preprocessors import NbGraderPreprocessor

from autograder.intake import NOTES_HEADING

MAX_MESSAGE_CHARS = 600
ANSI = re.compile(r"\x1b\[[0-9;]*[A-Za-z]")


class FeedbackView(NbGraderPreprocessor):
    """Puts `feedback` into each cell's metadata for the template, and takes test sources and tracebacks away."""

    def preprocess(self, nb, resources):
        heading, hint, cells = "", "", []
        for cell in nb.cells:
            grade_id = cell.metadata.get("nbgrader", {}).get("grade_id", "")
            if grade_id.startswith("task_"):
                heading, hint = read_lead_in(cell.source)
                continue
            view = {"kind": kind_of(cell), "heading": heading, "source": cell.source}
            heading = ""
            marks = cell.metadata.get("nbgrader", {})
            view |= {key: marks.get(key) for key in ("score", "points", "comment")}
            if view["kind"] == "test":
                view |= {"source": "", "hidden": grade_id.startswith("hidden_"), "message": message_of(cell)}
                view["hint"] = hint if view["message"] else ""
            else:
                view["outputs"] = [plain(output) for output in cell.get("outputs", [])]
            if view["kind"] != "text" or cell.source.startswith(NOTES_HEADING) or view["heading"]:
                cell.metadata["feedback"] = view
                cells.append(cell)
            cell.outputs, cell.source = [], ""
        nb.cells = cells
        return nb, resources


def kind_of(cell):
    if utils.is_grade(cell) and not utils.is_solution(cell):
        return "test"
    if utils.is_solution(cell):
        return "code" if cell.cell_type == "code" else "answer"
    return "code" if cell.cell_type == "code" and "nbgrader" not in cell.metadata else "text"


def read_lead_in(source):
    """(heading, first hint) of an exercise's lead-in."""
    hint = re.search(r"<summary>Hint 1</summary>\s*(.*?)\s*</details>", source, re.S)
    return source.split("\n")[0].lstrip("# "), hint.group(1) if hint else ""


def message_of(cell):
    """Why a test cell failed, in one line without a traceback; "" where it passed."""
    for output in cell.get("outputs", []):
        if output.output_type == "error":
            text = ANSI.sub("", output.evalue).strip().split("\n\n")[0]
            name = "" if output.ename == "AssertionError" else f"{output.ename}: "
            return (name + (text or "the check failed"))[:MAX_MESSAGE_CHARS]
    return ""


def plain(output):
    """An output as {"text"} or {"image"}: never HTML or scripts of the student's."""
    if output.output_type == "stream":
        return {"text": ANSI.sub("", output.text)}
    if output.output_type == "error":
        return {"text": ANSI.sub("", f"{output.ename}: {output.evalue}")}
    data = output.get("data", {})
    if "image/png" in data:
        return {"image": re.sub(r"[^A-Za-z0-9+/=]", "", data["image/png"])}
    return {"text": ANSI.sub("", str(data.get("text/plain", "")))}
