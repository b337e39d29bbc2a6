"""Drawings can be read in both themes, on a phone and by ear, and their ids stay apart on one page."""

import re
from pathlib import Path

import pytest

from book._ext.drawing import DRAWINGS, inline, problems

PAGES = Path(__file__).resolve().parents[1] / "book"
GOOD = '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 400 9" role="img"><title>a</title><desc>b</desc>{}</svg>'


@pytest.mark.parametrize("path", sorted(DRAWINGS.glob("*.svg")), ids=lambda path: path.stem)
def test_drawing_is_fit_for_the_page_and_stands_on_one(path):
    assert not problems(path.read_text(encoding="utf-8"))
    uses = [page.name for page in PAGES.glob("*.md") if f"{{drawing}} {path.stem}\n" in page.read_text("utf-8")]
    assert uses, f"no page shows {path.name}"


@pytest.mark.parametrize(
    "source, word",
    [
        (GOOD.format("<path"), "well-formed"),
        (GOOD.format('<rect fill="#ffffff"/>'), "theme"),
        (GOOD.format('<text font-size="9">x</text>'), "small"),
        (GOOD.format("<style>a{}</style>"), "style"),
        (GOOD.format("").replace("400", "900"), "width"),
        (GOOD.format("").replace("<desc>b</desc>", ""), "desc"),
        (GOOD.format("").replace('role="img"', ""), "role"),
    ],
)
def test_a_drawing_that_some_reader_cannot_see_is_rejected(source, word):
    assert any(word in problem for problem in problems(source))


def test_two_drawings_on_a_page_share_no_id():
    source = GOOD.format('<marker id="head"/><path marker-end="url(#head)"/><use href="#head"/>')
    assert not problems(source)
    one, two = inline(source, "a"), inline(source, "b")
    ids = [set(re.findall(r' id="([^"]+)"', text)) for text in (one, two)]
    assert ids[0] and not ids[0] & ids[1]
    for text, known in zip((one, two), ids, strict=True):
        used = set(re.findall(r'url\(#([^)]+)\)|href="#([^"]+)"|aria-describedby="([^"]+)"', text))
        assert {name for names in used for name in names if name} <= known
