"""The directive `course-path`: the chapters in order, with what their exercises take, read from the notebooks."""

from pathlib import Path

from docutils import nodes
from sphinx import addnodes
from sphinx.util.docutils import SphinxDirective

from book._ext.assignment import ExerciseError, exercise_efforts, exercise_names, read_exercise
from book._ext.html_element import element, parse_markdown, text
from book._ext.progress import exercise_places


def hours(minutes):
    """Minutes as a reader plans them, to the half hour: 130 -> "2 h"; 20 -> "half an hour"."""
    halves = max(1, round(minutes / 30))
    if halves == 1:
        return "half an hour"
    return f"{halves // 2} h" if halves % 2 == 0 else f"{halves // 2}½ h"


class CoursePath(SphinxDirective):
    """`{course-path}`, one line a chapter: `NN_topic: what you can do after it`. Without a page a line is left out."""

    has_content = True

    def run(self):
        root = Path(self.env.app.confdir)
        items = nodes.enumerated_list(enumtype="arabic", prefix="", suffix=".", classes=["course-path"])
        for line in self.content:
            if not line.strip():
                continue
            topic, _, promise = line.partition(":")
            topic = topic.strip()
            if f"book/{topic}" not in self.env.found_docs:
                continue
            notebook = root / "solutions" / topic / f"{topic}.ipynb"
            if notebook.is_file():
                self.env.note_dependency(str(notebook))
            link = addnodes.pending_xref(
                "",
                nodes.inline("", topic),
                refdomain="std",
                reftype="doc",
                reftarget=f"/book/{topic}",
                refexplicit=False,
                refdoc=self.env.docname,
                refwarn=True,
            )
            item = nodes.list_item(
                "", nodes.paragraph("", "", link), *parse_markdown(self, [promise.strip()], notebook)
            )
            item += self.effort(root, topic)
            items += item
        return [element("div", self.total(root), items, class_="course-path")]

    def total(self, root):
        """What all of the listed chapters' exercises take."""
        topics = [topic for line in self.content if (topic := line.partition(":")[0].strip())]
        efforts = [effort for topic in topics for effort in exercise_efforts(root, topic)]
        minutes = sum(effort.get("minutes", 0) for effort in efforts)
        return text("p", f"{len(efforts)} exercises, {hours(minutes)} in all. Each chapter says what it takes.")

    def effort(self, root, topic):
        """What a chapter's exercises take, and the bar that chapter.js fills."""
        try:
            exercises = [read_exercise(root, topic, name) for name in exercise_names(root, topic)]
        except ExerciseError:
            return []
        found = [exercise["effort"] for exercise in exercises]
        minutes, points = (sum(effort.get(key, 0) for effort in found) for key in ("minutes", "points"))
        at, places = self.env.app.builder.get_relative_uri, exercise_places(root, topic)
        entries = []
        for one in exercises:
            page, anchor = places[one["grade_id"]]
            entries.append(
                f"{one['grade_id']}:{'written' if one['written'] else ''}:{at(self.env.docname, page)}{anchor}"
            )
        bar = element(
            "span",
            scripts=["live/store.js", "live/chapter.js"],
            class_="path-progress",
            data_topic=topic,
            data_exercises=" ".join(entries),
        )
        words = nodes.Text(f"{len(found)} exercises · {hours(minutes)} · {points} points ")
        return [element("p", words, bar, class_="exercise-effort")]


def setup(app):
    app.add_directive("course-path", CoursePath)
