"""The directive `nbexercise`: an exercise of an assignment as a card, read from its nbgrader source notebook.

A card is a section of its chapter, so the page's list of contents names it, and a `<details>`: closed it shows title,
stars, minutes, points and, by live.js, the reader's state.
"""

from pathlib import Path

from docutils import nodes
from docutils.parsers.rst import directives
from sphinx import addnodes
from sphinx.util.docutils import SphinxDirective

from book._ext import live
from book._ext.assignment import ExerciseError, effort_words, read_exercise
from book._ext.chapter_pages import topic_of
from book._ext.html_element import element, parse_markdown, text
from book.tools import vendor


class exercise_card(nodes.section):  # noqa: N801 (docutils names its nodes in lower case)
    """A section whose first child is its title. `attrs`: attributes of the card's tag."""


class exercise_card_title(nodes.title):  # noqa: N801
    """The title of a card: a heading without a permalink, because it stands in a `<summary>`."""


def visit_card(self, node):
    self.section_level += 1
    self.body.append(self.starttag(node, "details", CLASS="exercise", **node["attrs"]) + "<summary>")


def depart_card(self, node):
    self.section_level -= 1
    self.body.append("</details>\n")


def visit_card_title(self, node):
    level = self.section_level + self.initial_header_level - 1
    self.body.append(f'<h{level} class="exercise-title">')
    self.context.append(f"</h{level}>")


def depart_card_title(self, node):
    self.body.append(self.context.pop())


def pass_over(self, node):
    """Other writers show a card as a plain section."""


def live_attributes(root, assignment, exercise):
    """The data attributes by which live.js knows an exercise: its kind ("live", "notebook", "written") and counts."""
    name = exercise["grade_id"]
    attrs = {"data-topic": assignment, "data-name": name, "data-kind": "written" if exercise["written"] else "notebook"}
    if exercise["written"]:
        return attrs
    entry = next(item for item in live.cached_topic_data(root, assignment)["exercises"] if item["name"] == name)
    if entry["live"]:
        attrs["data-kind"] = "live"
    attrs |= {"data-hidden-checks": entry["hidden_checks"], "data-hidden-points": entry["hidden_points"]}
    if not vendor.python_is_present():
        attrs["data-python"] = vendor.PYODIDE_ADDRESS
    return attrs


class NbExercise(SphinxDirective):
    """`{nbexercise} assignment/name`; with `:open:` the card starts open."""

    required_arguments = 1
    option_spec = {"open": directives.flag}

    def run(self):
        assignment, _, name = self.arguments[0].partition("/")
        root = Path(self.env.app.confdir)
        try:
            exercise = read_exercise(root, assignment, name)
        except ExerciseError as error:
            raise self.error(str(error)) from error
        self.source = root / "solutions" / assignment / f"{assignment}.ipynb"
        self.env.note_dependency(str(self.source))
        self.env.note_dependency(str(root / "autograder" / "nbgrader_config.py"))
        attrs = live_attributes(root, assignment, exercise)
        words, _ = self.state.inline_text(exercise["title"].strip("*"), self.lineno)
        head = [exercise_card_title("", "", *words)]
        if exercise["effort"]:
            head.append(text("p", effort_words(exercise["effort"]), class_="exercise-effort"))
        head.append(nodes.raw("", "</summary>", format="html"))
        if "open" in self.options:
            attrs["open"] = "open"
        parts = [*head, *self.task(exercise, attrs["data-kind"]), *self.answers(exercise)]
        scripts = element("span", scripts=["live/store.js", "live/python.js", "live/live.js"], hidden="hidden")
        card = exercise_card("", *parts, scripts, ids=[f"exercise-{name}"], attrs=attrs)
        card.document = self.state.document
        return [*self.where_these_run(root, assignment), card]

    def task(self, exercise, kind):
        parts = parse_markdown(self, exercise["lead"].splitlines(), self.source)
        if exercise["starter"]:
            parts.append(self.code(exercise["starter"], "exercise-starter"))
        if kind == "notebook":
            parts.append(text("p", "This one needs torch: do it in the notebook.", class_="exercise-elsewhere"))
        return parts

    def answers(self, exercise):
        parts = []
        for summary, hint in exercise["hints"]:
            parts.append(self.fold(summary, "exercise-hint", parse_markdown(self, hint.splitlines(), self.source)))
        if exercise["checks"]:
            parts.append(self.fold("The visible checks", "exercise-checks", [self.code(exercise["checks"], "")]))
        if self.config.exercise_solutions and exercise["solution"]:
            if exercise["written"]:
                shown = parse_markdown(self, exercise["solution"].splitlines(), self.source)
                parts.append(self.fold("Model answer", "exercise-solution", shown))
            else:
                parts.append(self.fold("Solution", "exercise-solution", [self.code(exercise["solution"], "")]))
        return parts

    def where_these_run(self, root, assignment):
        """Before a page's first exercise: what opens them all, or that they run in the notebook only."""
        if self.env.temp_data.get("exercise_tools") == assignment:
            return []
        self.env.temp_data["exercise_tools"] = assignment
        if topic_of(self.env.docname) != assignment:
            return []
        runs_here = any(entry["live"] for entry in live.cached_topic_data(root, assignment)["exercises"])
        words = "These exercises need torch, a GPU or a server, so they run in the notebook, not in this page."
        lines = [] if runs_here else [text("p", words, class_="exercise-elsewhere")]
        return [element("div", *lines, *self.buttons(assignment), class_="exercise-tools", data_topic=assignment)]

    def code(self, source, classes):
        block = nodes.literal_block(source, source, language="python", classes=[classes] if classes else [])
        block.document = self.state.document
        return block

    def fold(self, summary, classes, children):
        return element("details", text("summary", summary), *children, class_=classes)

    def buttons(self, assignment):
        """The released notebook as a file; live.js adds the same with the reader's answers."""
        if not (Path(self.env.app.confdir) / f"notebooks/{assignment}/{assignment}.ipynb").is_file():
            return []
        label = nodes.literal("", "Download the notebook", classes=["download"])
        target = f"/notebooks/{assignment}/{assignment}.ipynb"
        link = addnodes.download_reference("", "", label, reftarget=target, refdoc=self.env.docname, refdomain="")
        return [nodes.paragraph("", "", link, classes=["exercise-buttons"])]


def setup(app):
    quiet = (pass_over, pass_over)
    others = {"text": quiet, "latex": quiet, "man": quiet, "texinfo": quiet}
    app.add_node(exercise_card, html=(visit_card, depart_card), **others)
    app.add_node(exercise_card_title, html=(visit_card_title, depart_card_title), **others)
    app.add_config_value("exercise_solutions", True, "env")
    app.add_directive("nbexercise", NbExercise)
