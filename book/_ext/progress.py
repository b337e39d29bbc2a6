"""The directive `course-progress`: every exercise with its minutes and points; progress.js adds the state."""

import re
from functools import partial
from pathlib import Path

from sphinx.util.docutils import SphinxDirective

from book._ext.assignment import exercise_names, read_exercise
from book._ext.chapter_pages import exercises_shown, pages_of
from book._ext.html_element import element, text
from book._ext.nbexercise import live_attributes


def exercise_places(root, assignment):
    """{grade_id: (page, anchor in it, or "")} of every exercise of an assignment, written answers too, in order."""
    pages = pages_of(root, assignment)
    used = {name: page for page in pages for name in exercises_shown(root, page)}
    names = exercise_names(root, assignment)
    places = {}
    for name in names:
        short = name.removeprefix("answer_")
        shown = name if name in used else short if short in used and short not in names else None
        places[name] = (used[shown], f"#exercise-{shown}") if shown else (pages[0], "")
    return places


def chapter_title(root, assignment):
    """The heading of a chapter's page."""
    chapter = (root / "book" / f"{assignment}.md").read_text(encoding="utf-8")
    found = re.search(r"^# (.+)$", chapter.partition("\n---\n")[2] or chapter, re.MULTILINE)
    return found[1].strip() if found else assignment


class CourseProgress(SphinxDirective):
    """`{course-progress}`, one table for each chapter that is in the book."""

    def run(self):
        root = Path(self.env.app.confdir)
        topics = [path.stem for path in sorted((root / "solutions").glob("*/*.ipynb"))]
        shown = [topic for topic in topics if f"book/{topic}" in self.env.found_docs]
        for topic in shown:
            self.env.note_dependency(str(root / "solutions" / topic / f"{topic}.ipynb"))
            for page in pages_of(root, topic):
                self.env.note_dependency(str(root / f"{page}.md"))
        return [
            element(
                "div",
                text("p", "", class_="progress-summary", role="status"),
                *(self.table(root, topic) for topic in shown),
                scripts=["live/store.js", "live/progress.js"],
                class_="course-progress",
            )
        ]

    def table(self, root, topic):
        at = partial(self.env.app.builder.get_relative_uri, self.env.docname)
        head = element("tr", *(text("th", words, scope="col") for words in ("Exercise", "Minutes", "Points", "State")))
        places = exercise_places(root, topic)
        rows = [self.row(root, topic, name, at(page) + anchor) for name, (page, anchor) in places.items()]
        caption = element("caption", text("a", f"{topic[:2]} · {chapter_title(root, topic)}", href=at(f"book/{topic}")))
        return element("table", caption, element("thead", head), element("tbody", *rows), class_="progress-table")

    def row(self, root, topic, name, address):
        exercise = read_exercise(root, topic, name)
        minutes, points = exercise["effort"].get("minutes"), exercise["effort"]["points"]
        attrs = live_attributes(root, topic, exercise)
        link = text("a", exercise["title"].strip("*"), href=address)
        return element(
            "tr",
            element("td", link),
            text("td", minutes or "–", class_="num"),
            text("td", points, class_="num"),
            text("td", "", class_="progress-state"),
            data_topic=topic,
            data_name=name,
            data_kind=attrs["data-kind"],
            data_minutes=minutes or 0,
            data_points=points,
        )


def setup(app):
    app.add_directive("course-progress", CourseProgress)
