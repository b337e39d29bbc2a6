"""The directive `nbexercise`: an exercise of an assignment, read from its nbgrader source notebook."""

from pathlib import Path

from docutils import nodes
from sphinx import addnodes
from sphinx.util.docutils import SphinxDirective

from book._ext import live
from book._ext.assignment import ExerciseError, effort_words, read_exercise
from book._ext.html_element import element, parse_markdown, text
from book.tools import vendor


def live_attributes(root, assignment, exercise):
    """The data attributes by which live.js knows an exercise: its kind ("live", "notebook", "written") and counts."""
    name = exercise["grade_id"]
    attrs = {"data_topic": assignment, "data_name": name, "data_kind": "written" if exercise["written"] else "notebook"}
    if exercise["written"]:
        return attrs
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
            parts.append(text("p", effort_words(exercise["effort"]), class_="exercise-effort"))
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
