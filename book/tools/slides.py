"""A slide deck of a chapter: `python book/tools/slides.py [03_kv_cache ...]`, all chapters without a name.

Made of the built book: its drawings, plots, live figures and predictions, with the goals before and the summary after.
A deck is one HTML file that works offline, in reveal.js (5.2.0, MIT, fetched once by pip). Arrow keys turn the slides,
S opens the notes, and `?print-pdf` behind the address gives a page for each slide.
"""

import base64
import re
import sys
from dataclasses import dataclass, field
from html import escape
from pathlib import Path
from urllib.parse import quote

import jinja2
import yaml
from bs4 import BeautifulSoup

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))

from book._ext.chapter_pages import topic_of  # noqa: E402 (the script may be started from anywhere)
from book.tools.build_book import BuildError, reader_of_pages, require_pages, toc_pages  # noqa: E402
from book.tools.vendor import fetch_missing, files_of  # noqa: E402

HERE = Path(__file__).resolve().parent
STATIC = ROOT / "book" / "_static"
FETCHED = ROOT / ".cache" / "vendor"
WHEEL = ("sphinx-revealjs==3.2.1", "805bed3ca459346e0f01967d5ed1c40d6b7b917de1541e1e4566c8341fe7017b")
REVEAL = files_of(
    *WHEEL,
    "sphinx_revealjs/_static/revealjs/dist",
    "reveal",
    **{
        "reset.css": "1aa8e84c9cabcbfe4d95b19879fe48b9c2c5e6d54574cbe679bc22edb9fe12b6",
        "reveal.css": "68f915a11ebf7203c0446576b7e952ff61c5dd02134a8a226ffaf62ed42136d2",
        "reveal.js": "46538b52db48724192f59bf46f5e851a18e302777c46f4a34c32709d010d6a29",
    },
) + files_of(
    *WHEEL,
    "sphinx_revealjs/_static/revealjs/plugin/notes",
    "reveal",
    **{"notes.js": "df1201d19d03241a2897d39c3d38768177df1cbd4bde06327b321cb83461ae89"},
)
# what becomes a slide, with the class that slides.css knows it by
KINDS = {".predict": "question", "figure.drawing": "picture", ".plot": "picture", ".figure-live": "interactive"}
FONTS = ("Source Sans 3", "STIX Two Math")


@dataclass
class Slide:
    """One slide: HTML of what is shown, of what is shown at the next key, and the text of the notes."""

    kind: str
    heading: str
    body: str
    answer: str = ""
    notes: str = ""


@dataclass
class Deck:
    """A chapter as slides. lead, goals and summary are HTML; scripts are those of its live figures."""

    title: str
    facts: str
    lead: str
    goals: str
    summary: str
    slides: list = field(default_factory=list)
    exercises: list = field(default_factory=list)
    scripts: list = field(default_factory=list)


def read_deck(page):
    """The Deck of a built page. page: the path of its HTML."""
    soup = BeautifulSoup(page.read_text(encoding="utf-8"), "html.parser")
    article = soup.select_one("article")
    tidy(article)
    for picture in article.select(".plot img[src*='_plots/']"):
        file = page.parent / picture["src"].partition("?")[0]
        picture["src"] = "data:image/svg+xml," + quote(file.read_text(encoding="utf-8"))
    chapter = article.select_one("section")
    paragraphs = chapter.find_all("p", recursive=False)
    facts = chapter.select_one(".chapter-facts")
    summary = article.select_one("section#summary ul")
    goals = chapter.find("ul", recursive=False)
    return Deck(
        title=chapter.h1.get_text(strip=True),
        facts=facts.get_text() if facts else "",
        lead=str(paragraphs[0]),
        goals=str(goals) if goals else "",
        summary=str(summary) if summary else "",
        slides=[as_slide(found) for found in article.select(", ".join(KINDS)) if not is_closed(found)],
        exercises=[
            (e.h3.get_text(), e.p.get_text() if e.p else "") for e in article.select("details.exercise > summary")
        ],
        scripts=[read_script(page, script["src"]) for script in soup.select('script[src*="_static/figures/"]')],
    )


def tidy(article):
    """Takes out what a slide has no use for: links into the book, their marks, plots for a dark page."""
    for mark in article.select(".headerlink, .only-dark, script"):
        mark.decompose()
    for link in article.select("a"):
        if not link.get("href", "").startswith("https://"):
            link.unwrap()


def is_closed(found):
    """True in a card or an answer; a fold of the text is open on slides."""
    return any("part-fold" not in fold.get("class", ()) for fold in found.find_parents("details"))


def read_script(page, source):
    path = (page.parent / source.partition("?")[0]).resolve()
    return path.read_text(encoding="utf-8").replace("</script", "<\\/script")


def as_slide(found):
    kind = next(kind for selector, kind in KINDS.items() if found.css.match(selector))
    heading = found.find_parent("section").find(re.compile("^h[1-6]$")).get_text(strip=True)
    if kind == "question":
        choices = [choice for choice in found.get("data-choices", "").split("|") if choice]
        listed = "".join(f"<li>{escape(choice)}</li>" for choice in choices)
        question = found.select_one(".predict-question").decode_contents()
        body = f'<div class="asked">{question}</div>' + (f'<ul class="choices">{listed}</ul>' if listed else "")
        answer = found.select_one("details")
        answer.summary.decompose()
        return Slide(kind, heading, body, answer=answer.decode_contents())
    before = found.find_previous("p", class_=False)
    return Slide(kind, heading, str(found), notes=" ".join(before.get_text().split()) if before else "")


def styles():
    """The deck's style sheets: reveal.js's, the book's (letters, figures, drawings), the deck's own."""
    course = (STATIC / "course.css").read_text(encoding="utf-8")
    kept = [line for line in course.split("\n") if "@font-face" not in line or any(name in line for name in FONTS)]
    letters = re.sub(r"url\((fonts/[\w-]+\.woff2)\)", lambda found: f"url({data_uri(found[1])})", "\n".join(kept))
    drawing = (STATIC / "drawings" / "drawing.css").read_text(encoding="utf-8")
    reveal = [(FETCHED / "reveal" / name).read_text(encoding="utf-8") for name in ("reset.css", "reveal.css")]
    return [*reveal, letters, drawing, (HERE / "slides.css").read_text(encoding="utf-8")]


def data_uri(font):
    return "data:font/woff2;base64," + base64.b64encode((STATIC / font).read_bytes()).decode()


def render(deck):
    """The deck as one HTML text."""
    environment = jinja2.Environment(loader=jinja2.FileSystemLoader(HERE), autoescape=True, trim_blocks=True)
    reveal = [(FETCHED / "reveal" / name).read_text(encoding="utf-8") for name in ("reveal.js", "notes.js")]
    return environment.get_template("slides.html.j2").render(deck=deck, styles=styles(), scripts=reveal + deck.scripts)


def main(argv=None):
    args = reader_of_pages(__doc__, "slides").parse_args(argv)
    pages = toc_pages(yaml.safe_load((ROOT / "_toc.yml").read_text(encoding="utf-8")))
    chapters = args.chapters or [page.removeprefix("book/") for page in pages if topic_of(page)]
    try:
        require_pages(args.html, [f"book/{name}" for name in chapters])
        for problem in fetch_missing(REVEAL, FETCHED):
            raise BuildError(problem)
    except BuildError as error:
        print(f"slides: {error}", file=sys.stderr)
        return 1
    args.folder.mkdir(parents=True, exist_ok=True)
    for name in chapters:
        path = args.folder / f"{name}.html"
        path.write_text(render(read_deck(args.html / "book" / f"{name}.html")), encoding="utf-8")
        print(path)
    return 0


if __name__ == "__main__":
    sys.exit(main())
