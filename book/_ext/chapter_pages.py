"""A chapter's pages: `book/NN_topic` and, where it is read in two sittings, `book/NN_topic_part_2` after it."""

import contextlib
import io
import re
from pathlib import Path

import jupytext

PAGE = re.compile(r"book/(\d\d_\w+?)(?:_part_(\d))?")


def topic_of(page):
    """The topic that a page (a docname) belongs to; None for a page that is no chapter's."""
    found = PAGE.fullmatch(page)
    return found[1] if found else None


def pages_of(root, topic):
    """The pages of a topic that are in book/, in order. root: the repository."""
    later = sorted(path.stem for path in (Path(root) / "book").glob(f"{topic}_part_[0-9].md"))
    return [f"book/{name}" for name in (topic, *later)]


def exercises_shown(root, page):
    """The names after `{nbexercise} NN_topic/` in a page's source, in order."""
    source = (Path(root) / f"{page}.md").read_text(encoding="utf-8")
    return re.findall(rf"\{{nbexercise\}} {topic_of(page)}/(\w+)", source)


def names_after(name):
    """{name: object} that the code cells of the page book/NAME.md leave behind: its second part goes on from there."""
    path = Path(__file__).resolve().parents[1] / f"{name}.md"
    left = {"__name__": "__main__"}
    with contextlib.redirect_stdout(io.StringIO()):
        for cell in jupytext.read(path).cells:
            if cell.cell_type == "code":
                exec(compile(cell.source, path.name, "exec"), left)
    return left
