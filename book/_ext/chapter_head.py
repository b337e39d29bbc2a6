"""The head of a chapter: its number, what it takes, the reader's progress, and the engine's map with its part lit.

The number goes into the title after the labels were read, so the sidebar, the search and the links to next and previous
have it, and a reference in prose has not.
"""

from pathlib import Path

from docutils import nodes
from sphinx.transforms import SphinxTransform

from book._ext.assignment import read_exercise
from book._ext.chapter_pages import exercises_shown, topic_of
from book._ext.course_path import hours
from book._ext.engine_map import small_map
from book._ext.html_element import aside_element, element, text
from book._ext.nbexercise import exercise_card

WORDS_PER_MINUTE = 200
CODE_LINES_PER_MINUTE = 15


def reading_minutes(document):
    """Minutes to read a chapter without its exercises, to the next five: prose at 200 words a minute, code by line."""
    words = code = 0
    for node in document.findall(nodes.Text):
        above = list(ancestors(node))
        if any(isinstance(parent, exercise_card | nodes.raw) or is_output(parent) for parent in above):
            continue
        if any(isinstance(parent, nodes.literal_block) for parent in above):
            code += len(node.splitlines())
        else:
            words += len(node.split())
    minutes = words / WORDS_PER_MINUTE + code / CODE_LINES_PER_MINUTE
    return max(5, 5 * round(minutes / 5))


def is_output(node):
    return isinstance(node, nodes.Element) and "cell_output" in node.get("classes", ())


def ancestors(node):
    while node.parent is not None:
        node = node.parent
        yield node


def difficulty(efforts):
    """The range of stars: "★ to ★★★"; "" where no exercise has any."""
    stars = sorted({effort["stars"] for effort in efforts if "stars" in effort})
    return " to ".join("★" * count for count in dict.fromkeys((stars[0], stars[-1]))) if stars else ""


class ChapterHead(SphinxTransform):
    """Writes number and head into every chapter; after the labels (850), before Sphinx collects titles (880)."""

    default_priority = 860

    def apply(self, **kwargs):
        title = next(self.document.findall(nodes.title), None)
        topic = topic_of(self.env.docname)
        if topic is None or title is None:
            return
        section = title.parent
        section.insert(section.index(title) + 1, self.head(topic))
        title.insert(0, nodes.Text(f"{int(topic[:2])} · "))

    def head(self, topic):
        root = Path(self.app.confdir)
        efforts = [read_exercise(root, topic, name)["effort"] for name in exercises_shown(root, self.env.docname)]
        minutes, points = (sum(effort.get(key, 0) for effort in efforts) for key in ("minutes", "points"))
        facts = [f"{reading_minutes(self.document)} minutes to read"]
        if efforts:
            facts.append(f"{len(efforts)} exercises, {hours(minutes)}")
            facts += [difficulty(efforts), f"{points} points"]
        bar = element(
            "p",
            class_="chapter-progress",
            data_topic=topic,
            scripts=["live/store.js", "live/chapter.js"],
            hidden="hidden",
        )
        lines = element("div", text("p", " · ".join(filter(None, facts)), class_="chapter-facts"), bar)
        front = self.app.builder.get_relative_uri(self.env.docname, self.config.root_doc)
        return aside_element(
            "", lines, *small_map(self.env, topic, front), tag="div", attrs={"class": "chapter-head"}, scripts=[]
        )


def setup(app):
    app.add_transform(ChapterHead)
