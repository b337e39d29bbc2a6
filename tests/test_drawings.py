"""Drawings can be read in both themes, on a phone and by ear, and their ids stay apart on one page."""

import re
from pathlib import Path
from xml.etree import ElementTree

import pytest

from book._ext.drawing import DRAWINGS, SVG, inline, problems
from mini_engine.engine import Engine
from mini_engine.loading import load
from mini_engine.sequence import SamplingParams

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


def test_two_clients_are_fed_in_the_steps_that_the_drawing_shows():
    """Chapter 12: the squares in each box are the tokens that the engine feeds for A and for B in that step."""
    root = ElementTree.parse(DRAWINGS / "two-clients.svg").getroot()
    rects = [(node.get("class"), float(node.get("width")), float(node.get("x"))) for node in root.iter(f"{SVG}rect")]
    boxes = [(x, x + width) for name, width, x in rects if name == "box"]
    squares = [(name, x) for name, width, x in rects if width == 13]
    drawn = [
        tuple(sum(name == one and left < x < right for name, x in squares) for one in ("c1", "c2"))
        for left, right in boxes
    ]
    engine, params = Engine(*load("tiny"), num_blocks=64), SamplingParams(max_tokens=3, ignore_eos=True)
    fed, served, clients = [], [], [engine.add_request(engine.tokenizer.encode("Hi! "), params)]
    while engine.has_unfinished:
        before = engine.stats.num_computed_tokens
        outputs = [output.seq for output in engine.step()]
        fed.append(engine.stats.num_computed_tokens - before)
        if len(clients) == 1:  # B came while step 1 ran
            clients.append(engine.add_request(engine.tokenizer.encode("Yo!"), params))
        served.append(tuple(seq in outputs for seq in clients))
    assert fed == [sum(step) for step in drawn]
    assert served == [tuple(map(bool, step)) for step in drawn]
    assert [len(seq.output_token_ids) for seq in clients] == [3, 3]
