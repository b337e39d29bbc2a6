"""The built book, read as a reader does: in a browser, from disk, at two widths and in both themes."""

import io
import json
import re
import socket
import subprocess
import sys
import urllib.error
import urllib.request
import zipfile
from pathlib import Path
from xml.etree import ElementTree

import nbformat
import pytest
import yaml
from visit import drawn, laid_out, serving

from book._ext.assignment import course_config, exercise_efforts, read_exercise
from book._ext.chapter_pages import names_after, pages_of, topic_of
from book._ext.progress import exercise_places
from book._ext.site import used_rules
from book.tools import build_book, one_file, print_book, serve, vendor

ROOT = Path(__file__).resolve().parents[1]
HTML = ROOT / "_build" / "html"
PAGES = build_book.toc_pages(yaml.safe_load((ROOT / "_toc.yml").read_text()))
CHAPTERS = [page for page in PAGES if topic_of(page)]
LOCAL = ("file:", "data:", "blob:")


class Reader:
    """One browser tab with everything it complained about or asked for from elsewhere."""

    def __init__(self, browser, theme="light", width=1280, **options):
        size = {"width": width, "height": 900}
        self.context = browser.new_context(viewport=size, color_scheme=theme, **options)
        self.page = self.context.new_page()
        self.complaints, self.outside = [], []
        self.page.on(
            "console", lambda message: self.complaints.append(message.text) if message.type == "error" else None
        )
        self.page.on("pageerror", lambda error: self.complaints.append(str(error)))
        self.page.on("request", self.note_request)

    def note_request(self, request):
        if not request.url.startswith(LOCAL):
            self.outside.append(request.url)

    def open(self, path):
        self.page.goto(Path(path).as_uri(), wait_until="load")
        return laid_out(self.page)

    def __enter__(self):
        return self

    def __exit__(self, *_error):
        self.context.close()


@pytest.mark.parametrize("page_name", PAGES)
def test_no_table_is_printed_as_text(book, page_name):
    """A cell's Markdown is rendered only where the page or the cell asks for MyST."""
    assert "<p>| " not in (book / f"{page_name}.html").read_text(encoding="utf-8")


UNRENDERED_MATH = """() => [...document.querySelectorAll('.math')].filter(node =>
    !node.querySelector('math') || node.querySelector('merror')
).map(node => node.textContent.slice(0, 80))"""

IMAGES_WITHOUT_WORDS = """() => [...document.querySelectorAll('article img')].filter(img =>
    !(img.getAttribute('alt') || '').trim() || (img.complete && img.naturalWidth === 0 && img.offsetParent !== null)
).map(img => img.outerHTML.slice(0, 120)).concat([...document.querySelectorAll('article svg[role=img]')]
  .filter(svg => !svg.getAttribute('aria-label')).map(() => 'svg'))"""

TOO_WIDE = """() => {
  const limit = document.documentElement.clientWidth;
  if (document.documentElement.scrollWidth <= limit) return [];
  return [...document.querySelectorAll('main *, footer *')].filter(node => node.getBoundingClientRect().right > limit)
    .map(node => node.tagName + '.' + node.className).concat([String(document.documentElement.scrollWidth)]).slice(-8);
}"""


@pytest.mark.parametrize("page_name", PAGES)
def test_page_reads_well_from_disk(book, browser, page_name):
    with Reader(browser) as reader:
        page = reader.open(book / f"{page_name}.html")
        page.evaluate("document.querySelectorAll('article details').forEach(d => { d.hidden = false; d.open = true; })")
        for theme in ("light", "dark"):
            page.emulate_media(color_scheme=theme)
            page.wait_for_function("theme => document.documentElement.dataset.theme === theme", arg=theme)
            for width in (1280, 390):
                page.set_viewport_size({"width": width, "height": 900})
                wide = page.evaluate(TOO_WIDE)
                assert not wide, f"{page_name} scrolls sideways at {width} px, {theme}: {wide}"
            assert not page.evaluate(IMAGES_WITHOUT_WORDS), f"images without alt text, or broken, {theme}"
        assert not page.evaluate(UNRENDERED_MATH), "formulas stay unrendered"
        assert not reader.complaints, f"console errors on {page_name}: {reader.complaints}"
        assert not reader.outside, f"{page_name} asks the network for {reader.outside}"


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_the_reader_s_theme_is_the_page_s(book, browser, theme):
    with Reader(browser, theme) as reader:
        assert reader.open(book / "book/intro.html").evaluate("document.documentElement.dataset.theme") == theme


def released_cells(topic):
    cells = nbformat.read(ROOT / "notebooks" / topic / f"{topic}.ipynb", as_version=4).cells
    return {cell.metadata.get("nbgrader", {}).get("grade_id"): cell for cell in cells}


def without_marks(source):
    return "\n".join(line for line in source.splitlines() if "### BEGIN SOLUTION" not in line and "### END" not in line)


def test_an_exercise_is_found_by_its_exact_name_first():
    """08 has the written answer `answer_choose_metric` before the exercise `choose_metric`."""
    assert read_exercise(ROOT, "08_sampling_and_latency", "choose_metric")["grade_id"] == "choose_metric"
    assert read_exercise(ROOT, "08_sampling_and_latency", "answer_choose_metric")["written"]


def test_what_the_generator_says_in_a_notebook_does_not_stand_on_the_page():
    checks = read_exercise(ROOT, "03_kv_cache", "kv_bytes_per_token")["checks"]
    assert checks.startswith("def test_") and checks.endswith("test_kv_bytes_per_token()")
    written = read_exercise(ROOT, "03_kv_cache", "answer_cache_work_ratio")  # its question is a cell of its own
    assert written["lead"].startswith("In at most 150 words") and "4 points" not in written["lead"]
    assert "graded by" not in read_exercise(ROOT, "01_tokens_to_logits", "what_is_an_llm")["lead"]


def test_minutes_and_points_travel_as_data():
    exercise = read_exercise(ROOT, "03_kv_cache", "kv_bytes_per_token")
    assert exercise["effort"] == {"stars": 1, "minutes": 10, "points": 3} and "minutes" not in exercise["lead"]
    assert read_exercise(ROOT, "08_sampling_and_latency", "answer_choose_metric")["effort"].keys() == {"points"}
    assert course_config(ROOT) is course_config(ROOT), "the nbgrader configuration is executed again and again"


@pytest.mark.parametrize("chapter", CHAPTERS)
def test_exercises_shown_are_those_of_the_notebook(book, browser, chapter):
    topic = topic_of(chapter)
    released = released_cells(topic)
    source = nbformat.read(ROOT / "solutions" / topic / f"{topic}.ipynb", as_version=4).cells
    full = {cell.metadata.get("nbgrader", {}).get("grade_id"): cell for cell in source}
    wanted = [name for name, (page, _) in exercise_places(ROOT, topic).items() if page == chapter]
    with Reader(browser) as reader:
        page = reader.open(book / f"{chapter}.html")
        shown = page.evaluate(
            """() => Object.fromEntries([...document.querySelectorAll('.exercise')].map(box => [
                 box.id.replace('exercise-', ''),
                 {starter: box.querySelector('.exercise-starter pre')?.textContent ?? null,
                  solution: box.querySelector('.exercise-solution pre')?.textContent ?? null,
                  title: box.querySelector(':scope > summary .exercise-title').textContent,
                  closed: !box.open, facts: box.querySelector(':scope > summary .exercise-effort').textContent}]))"""
        )
        listed = page.locator(".bd-sidebar-secondary a").all_text_contents()
        link = page.locator(".exercise-tools a.download").get_attribute("href")
        text = page.content()
    assert sorted(shown) == sorted(name.removeprefix("answer_") if name not in shown else name for name in wanted)
    hidden = [name for name in full if name and name.startswith("hidden_")]
    assert hidden and not [name for name in [*hidden, "BEGIN HIDDEN"] if name in text], (
        "a hidden test got into the page"
    )
    assert (book / chapter).parent.joinpath(link).is_file(), f"{link} leads nowhere"
    for name, box in shown.items():
        assert box["closed"] and "point" in box["facts"], f"{name} is not a closed card with its points"
        assert box["title"].strip() in map(str.strip, listed), f"the page's contents do not list {box['title']!r}"
        cell = full.get(name)
        if cell is None or cell.cell_type != "code":
            continue
        assert box["starter"].rstrip() == released[name].source.rstrip(), f"the starter of {name} is not the notebook's"
        assert box["solution"].rstrip() == without_marks(cell.source).rstrip(), f"the solution of {name} is another"


def test_a_style_sheet_keeps_what_a_page_or_a_script_names():
    css = "@media print{.a .b,.c{x:1}}.gone{x:2}.c .gone,p{x:3}:root{y:4}.bs-tooltip-top{z:5}"
    assert used_rules(css, {"a", "c"}) == "@media print{.c{x:1}}p{x:3}:root{y:4}.bs-tooltip-top{z:5}"


# The look ------------------------------------------------------------------------------------------------------------

CUT_LINES = """() => [...document.querySelectorAll('article pre')]
  .filter(pre => pre.clientWidth && !pre.closest('.cell_output') && pre.scrollWidth > pre.clientWidth + 1)
  .map(pre => pre.textContent.slice(0, 60))"""
TALLEST = 12_000  # at 1280 px, cards closed
LONGEST_LINE = 76
ONE_TEXT = re.compile(r"""\s*(?:\w+=)?[fr]{0,2}(?:".*"|'.*'),?""")  # nothing but a string: the browser wraps it


@pytest.mark.parametrize("chapter", CHAPTERS)
def test_a_chapter_is_not_too_tall_and_cuts_no_line_of_code(book, browser, chapter):
    with Reader(browser) as reader:
        page = reader.open(book / f"{chapter}.html")
        assert page.evaluate("document.documentElement.scrollHeight") <= TALLEST, "too tall with its cards closed"
        assert not page.locator(".output.stream + .output.stream").count(), "one output stands in several boxes"
        shown = page.locator("article .highlight-ipython3 pre").all_inner_texts()
        page.evaluate("document.querySelectorAll('article details').forEach(d => { d.hidden = false; d.open = true; })")
        for width in (1280, 390):
            page.set_viewport_size({"width": width, "height": 900})
            assert not page.evaluate(CUT_LINES), f"code is cut at {width} px"
    lines = [line for block in shown for line in block.splitlines() if len(line) > LONGEST_LINE]
    lines = [line for line in lines if not ONE_TEXT.fullmatch(line)]
    assert len(lines) <= 3, f"long lines that no formatter can break: {lines}"


def test_on_a_phone_sentences_wrap_and_a_table_shows_that_it_goes_on(book, browser):
    cut = "boxes => boxes.filter((box) => box.scrollWidth > box.clientWidth).length"
    with Reader(browser, width=390) as reader:
        page = reader.open(book / "book/02_llama_forward_part_2.html")
        page.evaluate("document.querySelectorAll('.part-fold').forEach(fold => { fold.open = true; })")
        outputs = page.locator(".cell_output .sentences pre")
        assert outputs.count() > 3 and not outputs.evaluate_all(cut)
        page.locator(".pst-scrollable-table-container.goes-on").first.wait_for()
        table = page.query_selector(".pst-scrollable-table-container.goes-on")
        table.evaluate("box => { box.scrollLeft = box.scrollWidth; }")
        page.wait_for_function("box => !box.classList.contains('goes-on')", arg=table)
        short = page.locator("article p > code.short").evaluate_all(
            "all => all.filter(one => one.getClientRects().length > 1)"
        )
        assert not short, "a shape is broken over two lines"


def test_a_chapter_of_two_pages_is_one_topic(tmp_path):
    assert [topic_of(page) for page in ("book/02_x", "book/02_x_part_2", "book/map")] == ["02_x", "02_x", None]
    (tmp_path / "book").mkdir()
    for name in ("02_x", "02_x_part_2", "03_y"):
        (tmp_path / "book" / f"{name}.md").touch()
    assert pages_of(tmp_path, "02_x") == ["book/02_x", "book/02_x_part_2"]
    assert names_after("02_llama_forward")["attention"].__code__.co_filename == "02_llama_forward.md"


def test_next_is_the_next_chapter_and_titles_carry_its_number(book, browser):
    with Reader(browser) as reader:
        page = reader.open(book / "book/03_kv_cache.html")
        assert page.locator("article h1").first.inner_text().startswith("3 · ")
        assert page.locator(".prev-next-footer .right-next").get_attribute("href") == "04_flops_and_roofline.html"
        facts = page.locator(".chapter-facts").inner_text()
        exercises = len(exercise_efforts(ROOT, "03_kv_cache"))
        assert "minutes to read" in facts and f"{exercises} exercises" in facts and "★" in facts
        assert page.locator(".chapter-map .lit").text_content() == "3"


ASKED = {
    "what is ttft": ("book/glossary", "book/08_sampling_and_latency"),
    "kv cache size": ("book/glossary", "book/03_kv_cache", "book/06_capacity_planning"),
    "why is decode slow": ("book/glossary", "book/04_flops_and_roofline"),
    "vllm": ("book/06_capacity_planning", "book/09_paged_kv_cache", "book/12_mini_server"),
    "structured output": ("book/15_structured_output", "book/12_mini_server", "book/map", "book/glossary"),
    "top-p": ("book/glossary", "book/08_sampling_and_latency"),
    "quantization": ("book/glossary", "book/07_quantization"),
    "speculative decoding": ("book/glossary", "book/11_speculative_decoding"),
    "block table": ("book/glossary", "book/09_paged_kv_cache"),
    "rope": ("book/glossary", "book/02_llama_forward_part_2"),
}


@pytest.mark.parametrize("query", ASKED)
def test_search_puts_glossary_and_chapter_first(book, browser, query):
    with Reader(browser) as reader:
        page = reader.page
        page.goto(f"{(book / 'search.html').as_uri()}?q={query.replace(' ', '+')}")
        page.locator("#search-results li a").first.wait_for()
        page.wait_for_timeout(300)
        found = page.locator("#search-results li a").evaluate_all("links => links.map(a => a.getAttribute('href'))")
    first = [address.partition(".html")[0] for address in found[:2]]
    assert set(first) & set(ASKED[query]), f"{query}: {found[:5]}"
    assert first[0].startswith(("book/glossary", "book/0", "book/1", "book/map")), found[:3]
    assert not any("notebooks/" in address for address in found)


def test_the_front_page_plays_can_be_paused_and_stands_still_where_less_motion_is_wished(book, browser):
    with Reader(browser) as reader:
        page = reader.open(book / "book/intro.html")
        page.get_by_role("button", name="Pause").click()
        said = page.locator(".demo-say").inner_text()
        page.wait_for_timeout(1000)
        assert page.locator(".demo-say").inner_text() == said, "the demo does not pause"
        page.get_by_role("button", name="One token").click()
        assert page.locator(".demo-say").inner_text() != said
        assert page.locator(".engine-map.map-wide a").count() >= 10
    with Reader(browser, reduced_motion="reduce") as reader:
        page = reader.open(book / "book/intro.html")
        assert page.locator(".demo-coming").count() == 0 and page.get_by_role("button", name="Play again").is_visible()


def test_predict_keeps_the_answer_back_until_the_reader_has_guessed(book, browser):
    with Reader(browser) as reader:
        page = reader.open(book / "book/notation.html")
        block = page.locator(".predict").first
        assert block.locator(".predict-answer").is_hidden()
        block.scroll_into_view_if_needed()
        page.keyboard.press("Tab")
        block.locator("input").focus()
        page.keyboard.type("eighty")
        page.keyboard.press("Enter")
        assert "number first" in block.locator("[role=status]").inner_text()
        assert block.locator(".predict-answer").is_hidden()
        block.locator("input").fill("21.475")
        page.keyboard.press("Enter")
        assert "4 times too low" in block.locator("[role=status]").inner_text()
        assert "85.9 GB" in block.locator(".predict-answer").inner_text()
        page.reload()
        block.scroll_into_view_if_needed()
        block.locator("form").wait_for(state="attached")
        assert "21.475" in block.locator("[role=status]").inner_text(), "the guess is not kept"
        block.get_by_text("Ask me again").click()
        assert block.locator(".predict-answer").is_hidden()
        block.locator("input").fill("85,9")
        page.keyboard.press("Enter")
        assert "exactly right" in block.locator("[role=status]").inner_text()


def test_predict_and_figures_are_plain_text_without_javascript(book, browser):
    with Reader(browser, java_script_enabled=False) as reader:
        page = reader.page
        page.goto((book / "book/notation.html").as_uri())
        assert page.locator(".predict form").count() == 0
        page.locator(".predict summary").first.click()
        assert "85.9 GB" in page.locator(".predict-answer").first.inner_text()


def figure_pages():
    return [page for page in CHAPTERS if "{figure-live}" in build_book.page_source(page).read_text(encoding="utf-8")]


PLAYED = {
    "03_kv_cache": "kv-grid",
    "09_paged_kv_cache": "block-table",
    "10_continuous_batching": "batching",
    "11_speculative_decoding": "speculation",
}


@pytest.mark.parametrize("chapter", PLAYED)
def test_a_figure_over_time_is_stepped_played_and_dragged(book, browser, chapter):
    with Reader(browser) as reader:
        page = reader.open(book / f"book/{chapter}.html")
        figure = drawn(page.locator(f"figure-{PLAYED[chapter]}"))
        button = {
            name: figure.get_by_role("button", name=name, exact=True) for name in ("Step", "Back", "Play or pause")
        }
        figure.get_by_role("button", name="From the start").click()
        said = [figure.locator(".fig-say").inner_text()]
        for name in ("Step", "Step", "Back"):
            button[name].click()
            said.append(figure.locator(".fig-say").inner_text())
        assert said[0] != said[1] == said[3] != said[2]
        button["Play or pause"].click()
        page.wait_for_function(
            "([f, was]) => f.querySelector('.fig-say').textContent !== was", arg=[figure.element_handle(), said[1]]
        )
        button["Play or pause"].click()
        if chapter == "09_paged_kv_cache":
            return  # what happens there is no line of time under the pointer
        picture = figure.locator("svg")
        picture.scroll_into_view_if_needed()
        box, told = picture.bounding_box(), set()
        page.mouse.move(box["x"] + 0.3 * box["width"], box["y"] + 0.1 * box["height"])
        page.mouse.down()
        for part in (0.1, 0.6, 0.9):
            page.mouse.move(box["x"] + part * box["width"], box["y"] + part * box["height"])
            told.add(figure.locator(".fig-say").inner_text())
        page.mouse.up()
        assert len(told) > 1, "the pointer on the picture moves nothing"


@pytest.mark.parametrize("chapter", figure_pages())
def test_figures_work_by_keyboard_and_speak(book, browser, chapter):
    with Reader(browser) as reader:
        page = reader.open(book / f"{chapter}.html")
        figures = page.locator(".figure-live")
        for i in range(figures.count()):
            figure = drawn(figures.nth(i))
            assert figure.locator(".figure-static").count() == 0, "the script did not take the element over"
            before = figure.locator(".fig-say").inner_text()
            assert before.strip(), "the figure has no sentence for a screen reader"
            moved = False
            for handle in figure.locator("input[type=range]").all():
                assert handle.get_attribute("aria-valuetext")
                handle.focus()
                page.keyboard.press("End")
                page.keyboard.press("ArrowLeft")
                moved = moved or figure.locator(".fig-say").inner_text() != before
            for button in figure.locator(".fig-buttons button").all():
                button.focus()
                page.keyboard.press("Enter")
                moved = moved or figure.locator(".fig-say").inner_text() != before
            assert moved, "no control changes what the figure says"
        assert not reader.complaints, reader.complaints


def test_a_figure_waits_until_it_is_near_and_keeps_its_room(book, browser):
    """Its words stand in its place; it is made near the eyes, or for paper, and what is being read stays in place."""
    with Reader(browser) as reader:
        page = reader.open(book / "book/03_kv_cache.html")
        figure = page.locator("figure-kv-calculator")
        assert figure.locator(".figure-static").inner_text().strip() and figure.locator("svg").count() == 0
        assert figure.bounding_box()["height"] > 300
        page.evaluate("document.querySelector('figure-kv-calculator').nextElementSibling.scrollIntoView()")
        below = page.locator("figure-kv-calculator + *")
        place = below.bounding_box()["y"]
        figure.locator("svg").wait_for(state="attached")
        assert abs(below.bounding_box()["y"] - place) < 2, "the text jumps when the figure above it is made"
        reader.open(book / "book/11_speculative_decoding.html").evaluate("dispatchEvent(new Event('beforeprint'))")
        assert page.locator(".figure-live .figure-static").count() == 0, "a figure is missing on paper"


def test_what_is_far_below_is_laid_out_when_it_comes_near_and_found_by_a_link(book, browser):
    hidden = "node => !node.checkVisibility({ contentVisibilityAuto: true })"
    with Reader(browser) as reader:
        page = reader.page
        page.goto((book / "book/03_kv_cache.html").as_uri(), wait_until="load")
        last = page.locator("#further-reading h2")
        assert last.evaluate(hidden), "the whole page is laid out at the start"
        page.locator(".bd-sidebar-secondary a[href='#further-reading']").click()
        page.wait_for_function("node => node.getBoundingClientRect().top < innerHeight", arg=last.element_handle())
        assert not last.evaluate(hidden)
        page.goto("about:blank")
        page.goto((book / "book/03_kv_cache.html").as_uri() + "#exercises", wait_until="load")
        assert page.locator("html.in-parts").count() == 0, "a link into a page needs the page's true height"


def test_a_plot_is_a_file_that_is_fetched_near_the_eyes_in_one_theme(book, browser):
    with serving(serve.make_server(book, 0)) as address, Reader(browser) as reader:
        page, asked = reader.page, []
        page.on("request", lambda request: asked.append(request.url) if "/_plots/" in request.url else None)
        page.goto(f"{address}/book/02_llama_forward_part_2.html")
        plot = page.locator(".plot img.only-light").last
        assert not asked, "plots far below are loaded with the page"
        with page.expect_response(lambda answer: "/_plots/" in answer.url) as answer:
            plot.scroll_into_view_if_needed()
        assert answer.value.ok and answer.value.headers["content-type"].startswith("image/svg+xml")
        page.wait_for_function("img => img.naturalWidth > 0", arg=plot.element_handle())
        dark = set(page.locator(".plot img.only-dark").evaluate_all("images => images.map(img => img.src)"))
        assert not dark & set(asked), "a picture of the other theme is loaded"


# What the build refuses ----------------------------------------------------------------------------------------------


def build_page(tmp_path, body, **overrides):
    """Build one page with the course's extension. Returns the HTML, or raises with the first warning."""
    from sphinx.application import Sphinx
    from sphinx.util.docutils import docutils_namespace, patch_docutils

    source, out = tmp_path / "source", tmp_path / "out"
    source.mkdir()
    (source / "index.md").write_text(f"# Page\n\n{body}\n")
    for name in ("solutions", "notebooks", "autograder"):
        (source / name).symlink_to(ROOT / name)
    (source / "conf.py").write_text("")
    settings = {
        "extensions": ["myst_nb", "book._ext"],
        "myst_enable_extensions": ["dollarmath"],
        "exclude_patterns": ["solutions", "notebooks", "autograder"],
        "nb_execution_mode": "force",
        "nb_execution_raise_on_error": True,
        **overrides,
    }
    log = io.StringIO()
    with patch_docutils(str(source)), docutils_namespace():
        app = Sphinx(
            source, source, out, tmp_path / "doctrees", "html", settings, status=None, warning=log, warningiserror=False
        )
        app.build()
    if log.getvalue():
        raise AssertionError(log.getvalue())
    return (out / "index.html").read_text()


REFUSED = {
    "an exercise that is not there": ("```{nbexercise} 03_kv_cache/no_such\n```", "no exercise 'no_such'"),
    "an assignment that is not there": ("```{nbexercise} 99_nothing/f\n```", "make notebooks"),
    "a figure without its script": ("```{figure-live} no-such\nText.\n```", "no script"),
    "a drawing without its file": ("```{drawing} no-such\n```", "no file"),
    "a figure named like a path": ("```{figure-live} ../course\nText.\n```", "no script"),
    "an answer that is no number": ("```{predict}\n:answer: many\n\nHow many?\n\n---\n\nSo many.\n```", "not a number"),
    "an answer outside the choices": ("```{predict}\n:answer: c\n:choices: a | b\n\nQ?\n\n---\n\nA.\n```", "choices"),
    "a question without its arithmetic": ("```{predict}\n:answer: 1\n\nHow many?\n```", "'---'"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_build_refuses(tmp_path, case):
    body, symptom = REFUSED[case]
    with pytest.raises(AssertionError, match=symptom):
        build_page(tmp_path, body)


def test_student_edition_has_the_starter_and_no_solution(tmp_path):
    exercise = "```{nbexercise} 03_kv_cache/kv_bytes_per_token\n```"
    page = build_page(tmp_path, exercise, exercise_solutions=False)
    assert "NotImplementedError" in page and "Hint 1" in page
    assert "Solution" not in page and "num_key_value_heads</span> <span" not in page
    (tmp_path / "whole").mkdir()
    assert "Solution" in build_page(tmp_path / "whole", exercise)


def test_without_its_own_python_the_page_names_the_public_address(tmp_path, monkeypatch):
    monkeypatch.setattr(vendor, "python_is_present", lambda: False)
    page = build_page(tmp_path, "```{nbexercise} 03_kv_cache/kv_bytes_per_token\n```")
    assert f'data-python="{vendor.PYODIDE_ADDRESS}"' in page
    monkeypatch.setattr(vendor, "python_is_present", lambda: True)
    (tmp_path / "whole").mkdir()
    assert "data-python" not in build_page(tmp_path / "whole", "```{nbexercise} 03_kv_cache/kv_bytes_per_token\n```")


def test_launch_buttons_stand_on_chapters_only_and_need_a_repository():
    from types import SimpleNamespace

    from book._ext.site import add_launch_buttons

    def buttons(page, repository):
        context = {"header_buttons": []}
        app = SimpleNamespace(config=SimpleNamespace(course_repository=repository), confdir=ROOT)
        add_launch_buttons(app, page, "page.html", context, None)
        return [button["url"] for button in context["header_buttons"]]

    notebook, repository = "notebooks/03_kv_cache/03_kv_cache", "https://github.com/someone/course"
    chapter = "book/03_kv_cache"
    assert buttons(chapter, "") == [] and buttons("book/glossary", repository) == []
    binder, colab = buttons(chapter, repository)
    assert binder.endswith(f"/v2/gh/someone/course/HEAD?urlpath=lab/tree/{notebook}.ipynb")
    assert colab.endswith(f"/github/someone/course/blob/HEAD/{notebook}.ipynb")
    (only,) = buttons(chapter, "https://git.example.org/course.git")
    assert "/v2/git/https%3A%2F%2Fgit.example.org%2Fcourse.git/HEAD" in only


def test_a_glossary_word_tells_its_meaning_on_focus(book, browser):
    with Reader(browser) as reader:
        page = reader.open(book / "book/03_kv_cache.html")
        link = page.locator("article a[aria-describedby=term-box]:visible").last
        link.focus()
        page.wait_for_timeout(300)  # the scrolling that focus causes has come to its end
        said = page.locator("#term-box")
        assert said.is_visible() and said.inner_text() == link.get_attribute("data-definition") != ""
        page.keyboard.press("Escape")
        assert not said.is_visible()


def test_a_printed_chapter_has_its_starters_and_hints_and_no_solution(book, browser):
    with Reader(browser) as reader:
        page = reader.open(book / "book/03_kv_cache.html")
        page.emulate_media(media="print")
        page.evaluate("window.dispatchEvent(new Event('beforeprint'))")
        for shown in (".exercise-starter", ".exercise-hint p", ".predict-answer"):
            assert page.locator(shown).first.is_visible(), f"{shown} is missing on paper"
        for hidden in (".exercise-solution", ".exercise-tools", ".bd-sidebar-primary", ".live-gate"):
            assert not page.locator(hidden).first.is_visible(), f"{hidden} is printed"
        assert page.pdf()[:5] == b"%PDF-"


def test_the_book_is_one_epub_and_one_pdf(book, tmp_path):
    if print_book.find_chromium() is None:
        pytest.skip("no Chromium")
    pages = ["03_kv_cache", "notation", "glossary"]
    for options in (["--epub"], []):
        command = [sys.executable, one_file.__file__, *pages, "--html", str(book), "--folder", str(tmp_path)]
        subprocess.run([*command, *options], check=True, timeout=300)  # a browser is open in this process already
    assert (tmp_path / "llm-inference-by-hand.pdf").read_bytes()[:5] == b"%PDF-"
    assert not list(book.rglob("_whole.html")), "what was printed is left in the book"
    with zipfile.ZipFile(tmp_path / "llm-inference-by-hand.epub") as archive:
        names = archive.namelist()
        assert names[0] == "mimetype" and archive.getinfo("mimetype").compress_type == zipfile.ZIP_STORED
        trees = {name: ElementTree.fromstring(archive.read(name)) for name in names if name.endswith(("xhtml", "opf"))}
    found = {name: {part.get("id") for part in tree.iter()} for name, tree in trees.items()}
    for name, tree in trees.items():
        for part in tree.iter():
            link = part.get("href") or part.get("src") or ""
            page, _, place = link.partition("#")
            if ":" not in link:
                target = f"book/{page}" if page else name
                assert target in names, f"{name} leads to {link}"
                assert not place or place in found[target], f"{name} leads to {link}"
    text = "".join(trees["book/03_kv_cache.xhtml"].itertext())
    assert "Hint 1" in text and "self.length += 1" not in text, "hints are in the file, solutions in the book only"


def test_chapter_with_cells_and_no_jupytext_header_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(build_book, "ROOT", tmp_path)
    page = tmp_path / "page.md"
    page.write_text("# Page\n\n```{code-cell} python\n1 / 0\n```\n")
    with pytest.raises(build_book.BuildError, match="would not run"):
        build_book.check_header(page)


def test_quick_build_fails_on_a_raising_cell_and_names_no_page(tmp_path):
    header = (ROOT / "book/intro.md").read_text().split("\n---\n", 1)[0] + "\n---\n"
    page = ROOT / "book" / "zz_raising_cell.md"
    page.write_text(f"{header}\n# Raises\n\n```{{code-cell}} python\nraise RuntimeError('on purpose')\n```\n")
    try:
        done = subprocess.run(
            [sys.executable, "book/tools/build_book.py", "zz_raising_cell", "--output", str(tmp_path)],
            cwd=ROOT,
            capture_output=True,
            text=True,
        )
    finally:
        page.unlink()
    assert done.returncode == 1
    assert "on purpose" in done.stdout + done.stderr and "the build failed" in done.stderr


# Serving, plots, vendored files, facts -------------------------------------------------------------------------------


@pytest.fixture
def small_site(tmp_path):
    (tmp_path / "index.html").write_text("<h1>front</h1>")
    (tmp_path / "404.html").write_text("<h1>lost</h1>")
    for name in ("a.mjs", "a.wasm", "a.js", "a.whl"):
        (tmp_path / name).write_text("x")
    return tmp_path


def test_serve_gives_the_types_that_python_in_the_page_needs(small_site):
    with serving(serve.make_server(small_site, 0)) as base:
        wanted = {"a.mjs": "text/javascript", "a.wasm": "application/wasm", "a.js": "text/javascript"}
        for name, kind in wanted.items():
            assert urllib.request.urlopen(f"{base}/{name}").headers.get_content_type() == kind
        with pytest.raises(urllib.error.HTTPError) as caught:
            urllib.request.urlopen(f"{base}/nowhere")
        assert caught.value.code == 404 and b"lost" in caught.value.read()


def test_serve_refuses_a_taken_port_and_an_unbuilt_book(small_site, tmp_path, capsys):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        assert serve.main(["--port", str(port), "--folder", str(small_site)]) == 1
    assert f"port {port} is taken" in capsys.readouterr().err
    assert serve.main(["--port", "70000", "--folder", str(small_site)]) == 2
    assert serve.main(["--folder", str(tmp_path / "nothing")]) == 1
    assert "make book" in capsys.readouterr().err


def test_plot_has_a_light_and_a_dark_picture_with_alt_text(monkeypatch):
    import base64
    from urllib.parse import unquote

    import IPython
    import IPython.display

    from mini_engine import plotting

    shown = []
    fig, ax = plotting.figure()
    monkeypatch.setenv("COURSE_BOOK_BUILD", "1")
    monkeypatch.setattr(IPython, "get_ipython", lambda: object())
    monkeypatch.setattr(IPython.display, "display", lambda thing: shown.append(thing.data))
    ax.plot([1, 2], [3, 4], label="a line")
    ax.set(xlabel="tokens", ylabel="bytes", title="growth")
    ax.legend()
    with pytest.raises(ValueError, match="alt"):
        plotting.show(fig, alt="  ")
    plotting.show(fig, alt='bytes grow with "tokens"')
    (html,) = shown
    assert html.count('alt="bytes grow with &quot;tokens&quot;"') == 2
    light, dark = (unquote(part.split('"')[0]) for part in html.split("data:image/svg+xml,")[1:])
    for colors in (plotting.INK, plotting.SERIES[0]):
        assert colors[0] in light and colors[0] not in dark
        assert colors[1] in dark and colors[1] not in light
    assert base64.b64decode(base64.b64encode(plotting.to_png(fig)))[:4] == b"\x89PNG"


def luminance(color):
    channels = [int(color[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels]
    return sum(weight * c for weight, c in zip((0.2126, 0.7152, 0.0722), linear, strict=True))


def contrast(one, other):
    high, low = sorted((luminance(one), luminance(other)), reverse=True)
    return (high + 0.05) / (low + 0.05)


def test_plot_colours_stand_out_in_both_themes():
    from mini_engine.plotting import INK, MUTED, SERIES

    for light, dark in (INK, MUTED):
        assert contrast(light, "#ffffff") >= 4.5 and contrast(dark, "#121212") >= 4.5
    for light, dark in SERIES:
        assert contrast(light, "#ffffff") >= 3 and contrast(dark, "#121212") >= 3


def test_a_vendored_file_with_another_checksum_is_not_used(tmp_path, monkeypatch):
    monkeypatch.setattr(vendor, "VENDOR", tmp_path)
    file = vendor.CODEMIRROR[0]
    path = tmp_path / file.target
    assert not vendor.present(file)
    path.parent.mkdir(parents=True)
    path.write_text("something else")
    assert not vendor.present(file)


def test_vendor_says_in_one_line_what_could_not_be_fetched(tmp_path, monkeypatch):
    wrong = vendor.VendoredFile("no-such-package-of-the-course==0", "0" * 64, "x", "x.js", "0" * 64)
    monkeypatch.setattr(vendor, "VENDOR", tmp_path)
    monkeypatch.setattr(vendor, "FILES", (wrong,))
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    (line,) = vendor.fetch_missing()
    assert "no-such-package-of-the-course" in line and "\n" not in line


def test_notation_gives_the_config_of_llama_3_8b():
    from mini_engine.accounting import parameter_count
    from mini_engine.config import LLAMA_3_8B

    text = (ROOT / "book/notation.md").read_text()
    for field in ("vocab_size", "num_hidden_layers", "hidden_size", "num_attention_heads", "num_key_value_heads"):
        row = next(line for line in text.splitlines() if f"`{field}`" in line)
        assert row.split("|")[4].strip() == f"{getattr(LLAMA_3_8B, field):,}", row
    assert f"{parameter_count(LLAMA_3_8B):,}" in text


def test_bibliography_is_sorted_and_has_every_key_once():
    keys = [
        line.split("{")[1].rstrip(",\n")
        for line in (ROOT / "book/references.bib").read_text().splitlines()
        if line.startswith("@")
    ]
    assert keys == sorted(keys), "book/references.bib is sorted by key"
    assert len(keys) == len(set(keys))


def test_figure_data_is_json_and_holds_every_model():
    from book._ext.figure_data import FIGURE_DATA
    from mini_engine.config import MODELS

    for name, make in FIGURE_DATA.items():
        assert json.loads(json.dumps(make(), allow_nan=False)), name
    assert set(FIGURE_DATA["models"]()) == set(MODELS)
