"""The slide decks: what becomes a slide, and a real deck in Chromium, without a network, by the keyboard."""

import re

import pytest

from book.tools import slides, vendor

PAGE = """<html><body><article class="bd-article"><section id="x">
<h1>3 · A chapter<a class="headerlink" href="#x">#</a></h1>
<div class="chapter-head"><p class="chapter-facts">5 minutes to read</p></div>
<p>The problem, with <a class="reference internal" href="04_y.html">a link</a> and
<a href="https://example.org/paper">a paper</a>.</p>
<p>After this chapter you can</p><ul><li>explain;</li></ul>
<section id="a"><h2>An idea<a class="headerlink" href="#a">#</a></h2>
<p>Words before the drawing.</p>
<figure class="drawing"><svg role="img"><title>t</title></svg><figcaption>c</figcaption></figure>
<div class="predict" data-answer="b" data-choices="a|b &lt; c"><p class="predict-label">Predict, then reveal</p>
<div class="predict-question"><p>Which?</p></div>
<details class="predict-answer"><summary>Show</summary><p class="predict-value">Answer: b</p></details></div>
<details class="part-fold"><summary>More</summary><div class="plot"><img class="only-light" alt="x"
src="../_plots/a.svg?v=1"><img class="only-dark" alt="x" src="data:,"></div></details>
<figure-f class="figure-live"><div class="figure-static"><p>In words.</p></div></figure-f>
</section>
<section id="exercises"><h2>Exercises</h2><details class="exercise"><summary><h3>1. Do it</h3>
<p class="exercise-effort">★ · 5 minutes</p></summary><div class="plot">of an exercise</div></details></section>
<section id="summary"><h2>Summary</h2><ul><li>one;</li></ul></section>
</section></article><script src="../_static/figures/lib.js?v=1"></script><script src="../_static/doctools.js"></script>
</body></html>"""


def test_what_becomes_a_slide(tmp_path):
    (tmp_path / "book").mkdir()
    (tmp_path / "_static" / "figures").mkdir(parents=True)
    (tmp_path / "_static" / "figures" / "lib.js").write_text("lib('</script>')")
    (tmp_path / "_plots").mkdir()
    (tmp_path / "_plots" / "a.svg").write_text("<svg>a plot</svg>")
    page = tmp_path / "book" / "03_x.html"
    page.write_text(PAGE, encoding="utf-8")
    deck = slides.read_deck(page)
    assert (deck.title, deck.facts) == ("3 · A chapter", "5 minutes to read")
    assert "04_y.html" not in deck.lead and "https://example.org/paper" in deck.lead
    assert "explain;" in deck.goals and "one;" in deck.summary
    assert deck.exercises == [("1. Do it", "★ · 5 minutes")]
    assert deck.scripts == ["lib('<\\/script>')"]
    assert [slide.kind for slide in deck.slides] == ["picture", "question", "picture", "interactive"]
    assert all(slide.heading == "An idea" for slide in deck.slides)
    drawing, question, plot, _ = deck.slides
    assert drawing.notes == "Words before the drawing." and "<figcaption>c" in drawing.body
    assert "Which?" in question.body and "<li>b &lt; c</li>" in question.body
    assert "Answer: b" not in question.body and "Answer: b" in question.answer and "Show" not in question.answer
    assert "a%20plot" in plot.body and "only-light" in plot.body and "only-dark" not in plot.body


def test_without_a_book_it_says_what_to_do(tmp_path, capsys):
    assert slides.main(["03_kv_cache", "--html", str(tmp_path), "--folder", str(tmp_path / "none")]) == 1
    assert "run 'make book' first" in capsys.readouterr().err and not (tmp_path / "none").exists()


@pytest.fixture(scope="module")
def deck(book, tmp_path_factory):
    """The deck of chapter 3, as the command writes it."""
    problems = vendor.fetch_missing(slides.REVEAL, slides.FETCHED)
    if problems:
        pytest.skip(f"reveal.js is not to be had here: {problems[0]}")
    folder = tmp_path_factory.mktemp("slides")
    assert slides.main(["03_kv_cache", "--html", str(book), "--folder", str(folder)]) == 0
    return folder / "03_kv_cache.html"


def test_the_deck_asks_for_nothing_else(deck, book):
    page = (book / "book" / "03_kv_cache.html").read_text(encoding="utf-8")
    text = deck.read_text(encoding="utf-8")
    markup = re.sub(r"<(script|style)>.*?</\1>", "", text, flags=re.S)
    asked = re.findall(r'(?:src|href)="([^"]*)"', markup)
    assert all(address.startswith(("data:", "https://")) for address in asked), asked
    assert "<link" not in markup and "<script src" not in markup
    for kind, mark in (("question", 'class="predict"'), ("interactive", 'class="figure-live"')):
        assert text.count(f'<section class="{kind}">') == page.count(mark) > 0


def test_the_deck_turns_by_the_keyboard_and_nothing_leaves_a_slide(deck, browser):
    context = browser.new_context(offline=True, viewport={"width": 1280, "height": 720})
    page, trouble = context.new_page(), []
    page.on("request", lambda request: trouble.append(request.url) if request.url.startswith("http") else None)
    page.on("pageerror", lambda error: trouble.append(str(error)))
    page.goto(deck.as_uri())
    page.wait_for_function("window.Reveal && Reveal.isReady()")
    seen, hidden = [], 0
    while True:
        kind, height, width, answers = page.evaluate(
            "(s => [s.className, s.scrollHeight, s.scrollWidth, s.querySelectorAll('.fragment:not(.visible)').length])"
            "(Reveal.getCurrentSlide())"
        )
        number = page.evaluate("Reveal.getIndices().h")
        assert height <= 720 and width <= 1280, f"slide {number + 1} does not fit"
        hidden += answers
        if number not in seen:
            seen.append(number)
        if page.evaluate("Reveal.isLastSlide()") and not answers:
            break
        page.keyboard.press("ArrowRight")
    assert seen == list(range(page.evaluate("Reveal.getTotalSlides()"))) and len(seen) >= 8
    assert hidden == page.locator("section.question").count() > 0, "an answer stood there before it was asked for"
    figure = page.locator(".figure-live svg, .figure-live canvas, .figure-live table")
    assert figure.count(), "the live figures did not start"
    assert not trouble
    context.close()
