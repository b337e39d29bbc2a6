"""The exercises in the page, used as a reader does: Python in the browser, the editor, kept work, the notebook."""

import contextlib
import functools
import gzip
import json
import re
from pathlib import Path
from urllib.parse import urlsplit

import nbformat
import pytest
import yaml
from playwright.sync_api import TimeoutError as PlaywrightTimeout
from visit import SLOW_MS, Visit, drawn, serving

from autograder.auditor.candidates import load_topic
from autograder.auditor.children import score_all
from autograder.grading import course
from book._ext import live, live_runner
from book.tools import build_book, serve, vendor

ROOT = Path(__file__).resolve().parents[1]
PAGES = build_book.toc_pages(yaml.safe_load((ROOT / "_toc.yml").read_text()))
TOPICS = sorted(path.stem for path in (ROOT / "solutions").glob("*/*.ipynb") if live.in_range(path.stem))
CHAPTERS = [topic for topic in TOPICS if f"book/{topic}" in PAGES]
# what the page's Python does not have; answers of the bank that use them cannot run there
NOT_IN_THE_PAGE = re.compile(r"\b(torch|tokenizers|scipy|threading|multiprocessing)\b")
TEN = 10
WINDOW = {"width": 1280, "height": 720}


@pytest.fixture(scope="module", autouse=True)
def python_served_by_the_book():
    if not vendor.python_is_present():
        pytest.skip("book/_static/vendor has no Pyodide: live exercises are NOT checked. python -m book.tools.vendor")


def write(box, code):
    """Type over what the editor holds."""
    box.locator(".cm-content").click()
    box.page.keyboard.press("Control+a")
    box.page.keyboard.insert_text(code)


def check(box, press="Control+Enter"):
    """Check what the editor holds; returns the words of the verdict."""
    box.locator(".live-status").evaluate("node => delete node.dataset.reason")
    if press:
        box.locator(".cm-content").focus()
        box.page.keyboard.press(press)
    else:
        box.get_by_role("button", name="Check", exact=True).click()
    try:
        box.locator(".live-status[data-reason]").wait_for(timeout=3 * SLOW_MS)
    except PlaywrightTimeout:
        raise AssertionError(f"no verdict; the page says {box.locator('.live-status').inner_text()!r}") from None
    return box.locator(".live-status").inner_text()


def code_in(box):
    return "\n".join(box.locator(".cm-line").all_inner_texts()).replace("\u200b", "").rstrip()


def live_exercises(topic):
    return [entry for entry in live.topic_data(ROOT, topic)["exercises"] if entry["live"]]


# The same verdict as the autograder -----------------------------------------------------------------------------------


def visible_reasons(topic):
    """{(exercise, answer): (code, why the visible tests fail, or "")} of bank, starter and reference, by the audit."""
    scored, banks, _ = load_topic(topic, ROOT)
    released = nbformat.read(ROOT / "notebooks" / topic / f"{topic}.ipynb", as_version=4).cells
    starters = {cell.metadata.get("nbgrader", {}).get("grade_id"): cell.source for cell in released}
    codes = {}
    for entry in live_exercises(topic):
        bank = banks[entry["name"]]
        answers = {"starter": starters[entry["name"]], "reference": entry["solution"]}
        answers |= {f"wrong {name}": answer.source for name, answer in bank.wrong.items()}
        answers |= {f"right {name}": answer.source for name, answer in bank.right.items()}
        fit = {answer: code for answer, code in answers.items() if not NOT_IN_THE_PAGE.search(code)}
        codes |= {(entry["name"], answer): code for answer, code in fit.items()}
    candidates = [(key, {key[0]: code}, [key[0]], 10, True) for key, code in codes.items()]
    return {key: (codes[key], run.reasons[f"test_{key[0]}"]) for key, run in score_all(scored, 2, candidates)}


ATTEMPT = """async ([topic, name, code]) => {
  const late = new Promise((resolve) => setTimeout(() => resolve({ late: true }), 120000));
  const answer = await Promise.race([CourseLive.attempt(topic, name, code, "check"), late]);
  if (answer.late) CourseLive.stop();
  return answer;
}"""


@pytest.fixture(scope="module")
def tab(site, browser):
    """A tab for all who need nothing of their own, so that Python starts once for them."""
    with Visit(browser, site, viewport=WINDOW) as visit:
        yield visit


@pytest.fixture
def judge(tab):
    """The tab on a page that can run any topic's exercises."""
    if not tab.page.evaluate("'CourseLive' in window"):
        tab.open(f"book/{CHAPTERS[0]}")
    yield tab
    tab.assert_clean()


@pytest.fixture
def visit(tab):
    """The tab of a reader who has not begun."""
    tab.open("book/progress").evaluate("CourseWork.clear()")
    yield tab
    tab.assert_clean()


@pytest.mark.parametrize("topic", TOPICS)
def test_the_page_and_the_visible_tests_judge_the_audit_bank_alike(judge, topic):
    wanted = visible_reasons(topic)
    assert len(wanted) > 3 * len(live_exercises(topic)), "too few answers to compare"
    different = []
    for (name, answer), (code, reason) in wanted.items():
        if "ran longer" in reason:
            continue
        found = judge.page.evaluate(ATTEMPT, [topic, name, code])
        same = found.get("passed") == (not reason) and found["reason"].split(":")[0] == reason.split(":")[0]
        if not same:
            different.append(f"{name}/{answer}: page {found}, tests {reason!r}")
    assert not different, "\n".join(different)


def test_enough_of_the_course_runs_in_the_page():
    entries = [entry for topic in TOPICS for entry in live.topic_data(ROOT, topic)["exercises"]]
    carried = [entry for entry in entries if entry["live"]]
    assert len(carried) >= 0.8 * len(entries), [entry["name"] for entry in entries if not entry["live"]]


# Typed by a reader ----------------------------------------------------------------------------------------------------


def typed():
    """Ten exercises over the chapters in turn: (topic, exercise, wrong answer of the bank that a visible test sees)."""
    found = []
    for topic in CHAPTERS:
        for entry in live_exercises(topic)[:4]:
            wrong = load_topic(topic, ROOT)[1][entry["name"]].wrong
            found.append((topic, entry, [answer.source for answer in wrong.values()]))
    return found[:TEN]


def test_ten_exercises_typed_in_and_checked(visit):
    exercises = typed()
    assert len(exercises) == TEN, "there are fewer than ten live exercises in the chapters"
    for topic, entry, wrong in exercises:
        box = visit.exercise(topic, entry["name"])
        assert "Not written yet" in check(box, press=None)
        reasons = []
        for code in wrong:
            write(box, code)
            reasons.append(check(box))
            if "Visible checks pass" not in reasons[-1]:
                break
        assert reasons[-1].startswith("Not yet."), f"{entry['name']}: no wrong answer fails a visible check"
        write(box, entry["solution"])
        words = check(box)
        hidden = f"{entry['hidden_checks']} hidden check"
        assert words.startswith("Visible checks pass.") and hidden in words, words
        assert "visible checks pass" in box.locator(".exercise-state").inner_text()


def test_run_shows_what_the_try_it_cell_prints(visit):
    box = visit.exercise("03_kv_cache", "kv_bytes_per_token")
    write(box, live_exercises("03_kv_cache")[0]["solution"] + "\nprint('mine', 6 * 7)\n")
    box.get_by_role("button", name="Run", exact=True).click()
    box.locator(".live-status[data-reason]").wait_for()
    printed = box.locator(".live-output").inner_text()
    assert "mine 42" in printed and "128.0 KiB per token" in printed


def test_stop_ends_an_endless_loop_and_python_runs_again(site, browser):
    with Visit(browser, site) as visit:
        box = visit.exercise("03_kv_cache", "kv_bytes_per_token")
        write(box, "while True:\n    pass\n")
        run = box.get_by_role("button", name="Run", exact=True)
        run.click()
        assert box.get_by_text("Starting Python (").is_visible()
        box.locator(".live-status").get_by_text("Running").wait_for()
        assert run.is_disabled()
        box.locator(".live-status").get_by_text("Stop ends it").wait_for()
        box.get_by_role("button", name="Stop").click()
        assert "Stopped" in box.locator(".live-status").inner_text()
        write(box, live_exercises("03_kv_cache")[0]["solution"])
        assert "Visible checks pass" in check(box)


def test_an_error_names_the_line_of_the_readers_code(visit):
    box = visit.exercise("03_kv_cache", "kv_bytes_per_token")
    write(box, "def kv_bytes_per_token(config, bytes_per=2):\n    return config.no_such_field\n")
    words = check(box)
    assert "no_such_field" in words and "Line 2 of your code" in words
    write(box, "def kv_bytes_per_token(config:\n")
    assert "SyntaxError" in check(box)
    write(box, "input('how many? ')")
    assert "put the value into a variable" in check(box)


IN_VIEW = """node => { const box = node.getBoundingClientRect(); return box.top >= 0 && box.bottom <= innerHeight; }"""


@pytest.mark.parametrize("size", [(1280, 800), (390, 700)])
def test_the_verdict_of_a_check_is_in_view(visit, size):
    visit.page.set_viewport_size(dict(zip(("width", "height"), size, strict=True)))
    box = visit.exercise("03_kv_cache", "kv_bytes_per_token")
    check(box)
    assert box.locator(".live-status").evaluate(IN_VIEW), "the reader has to look for the verdict"
    visit.page.set_viewport_size(WINDOW)


@contextlib.contextmanager
def counted(book):
    """The served book, and the list of the paths that were asked for, by workers too."""
    asked = []

    class Counting(serve.BookHandler):
        def do_GET(self):
            asked.append(urlsplit(self.path).path)
            super().do_GET()

    server = serve.LoopbackServer(("127.0.0.1", 0), functools.partial(Counting, directory=str(book), model="none"))
    with serving(server) as address:
        yield address, asked


def test_the_page_states_what_python_weighs(browser, book):
    with counted(book) as (address, asked), Visit(browser, address) as visit:
        box = visit.exercise("03_kv_cache", "kv_bytes_per_token")
        before = len(asked)
        box.get_by_role("button", name="Check", exact=True).click()
        stated = float(re.search(r"\((\d+) MB", box.locator(".live-status").inner_text())[1])
        box.locator(".live-status[data-reason]").wait_for()
    size = sum((book / path.lstrip("/")).stat().st_size for path in set(asked[before:])) / 1e6
    assert abs(size - stated) < 1, f"the page says {stated} MB, {size:.1f} MB are loaded"


def wait_until(page, holds, symptom):
    for _ in range(SLOW_MS // 100):
        if holds():
            return
        page.wait_for_timeout(100)
    raise AssertionError(symptom)


def test_python_starts_once_in_a_tab_and_stop_is_nothing_to_another(browser, book):
    topic, (one, two) = "03_kv_cache", live_exercises("03_kv_cache")[:2]
    devtools = browser.new_browser_cdp_session()

    def workers():
        targets = devtools.send("Target.getTargets")["targetInfos"]
        shared = [target["url"] for target in targets if target["type"] == "shared_worker"]
        return sum(url.startswith(address) and url.endswith("worker.js") for url in shared)  # others' may be ending yet

    with counted(book) as (address, asked), Visit(browser, address) as visit:

        def starts():
            return sum(path.endswith("pyodide.asm.wasm") for path in asked)

        def passes(box, entry):
            write(box, entry["solution"])
            return check(box).startswith("Visible checks pass")

        assert passes(visit.exercise(topic, one["name"]), one)
        elsewhere = live_exercises(CHAPTERS[0])[0]
        assert passes(visit.exercise(CHAPTERS[0], elsewhere["name"]), elsewhere)
        assert (starts(), workers()) == (1, 1), "the second page starts Python again"

        first, other = visit.page, visit.context.new_page()
        visit.page = other
        beside = visit.exercise(topic, two["name"])
        assert passes(beside, two) and (starts(), workers()) == (2, 2), "a tab has a Python of its own"

        visit.page = first
        box = visit.exercise(topic, one["name"])
        write(box, "while True:\n    try:\n        pass\n    except BaseException:\n        pass\n")
        box.get_by_role("button", name="Run", exact=True).click()
        box.locator(".live-status").get_by_text("Running").wait_for()
        box.get_by_role("button", name="Stop").click()
        wait_until(first, lambda: workers() == 1, "the loop goes on, unseen")
        assert check(beside).startswith("Visible checks pass") and starts() == 2, "Stop ended the other tab's Python"
        assert passes(box, one) and starts() == 3


# As in browsers whose shared workers end with their page: the option is never read.
ENDS_WITH_ITS_PAGE = """{
  const Shared = window.SharedWorker;
  window.SharedWorker = function (address, { type, name }) { return new Shared(address, { type, name }); };
}"""


def test_where_no_worker_outlives_its_page_each_page_has_its_own(site, browser):
    with Visit(browser, site) as visit:
        visit.context.add_init_script(ENDS_WITH_ITS_PAGE)
        box = visit.exercise("03_kv_cache", "kv_bytes_per_token")
        assert "Not written yet" in check(box)
        assert [worker.url for worker in visit.page.workers if worker.url.endswith("live/worker.js")]


def test_the_keyboard_is_enough(visit):
    box = visit.exercise("03_kv_cache", "kv_bytes_per_token")
    write(box, "def f():")
    keyboard = visit.page.keyboard
    keyboard.press("Enter")
    keyboard.type("a = 1")
    keyboard.press("Home")
    keyboard.press("Tab")
    assert code_in(box) == "def f():\n        a = 1", "Enter indents after a colon, Tab once more"
    keyboard.press("Control+z")
    assert code_in(box) != "def f():\n        a = 1", "undo does nothing"
    address = visit.page.url
    keyboard.press("ArrowLeft")
    keyboard.press("ArrowRight")
    assert visit.page.url == address, "arrow keys in the editor turn the page"
    keyboard.press("Escape")
    assert visit.page.evaluate("document.activeElement.textContent") == "Check", "Escape does not leave the editor"
    keyboard.press("Shift+Tab")
    assert visit.page.evaluate("document.activeElement.className").startswith("cm-content")


def test_work_outlives_a_reload_and_reset_brings_the_starter_back(visit):
    box = visit.exercise("03_kv_cache", "kv_cache_bytes")
    starter = code_in(box)
    assert "raise NotImplementedError" in starter
    write(box, "# half an idea")
    visit.page.reload()
    box = visit.exercise("03_kv_cache", "kv_cache_bytes")
    assert code_in(box) == "# half an idea"
    assert "begun" in box.locator(".exercise-state").inner_text()
    box.get_by_role("button", name="Reset").click()
    assert code_in(box) == starter
    visit.page.reload()
    assert code_in(visit.exercise("03_kv_cache", "kv_cache_bytes")) == starter


def test_hints_come_one_by_one_and_the_solution_after_an_attempt_or_a_wish(visit):
    box = visit.exercise("03_kv_cache", "kv_bytes_per_token")
    hints, solution = box.locator(".exercise-hint"), box.locator(".exercise-solution")
    assert hints.nth(0).is_visible() and not hints.nth(1).is_visible()
    hints.nth(0).locator("summary").click()
    hints.nth(1).wait_for()
    assert not solution.is_visible()
    check(box)
    assert solution.is_visible() and solution.get_attribute("open") is None, "an attempt offers it, and no more"
    other = visit.exercise("03_kv_cache", "kv_cache_bytes")
    assert not other.locator(".exercise-solution").is_visible()
    other.get_by_role("button", name="show me the solution").click()
    assert "return" in other.locator(".exercise-solution pre").inner_text()


def test_a_copy_of_the_book_works_under_a_path(book, browser, tmp_path):
    """As under https://example.org/course/: live cells, figures and search, and nothing asked for above the path."""
    (tmp_path / "course").symlink_to(book, target_is_directory=True)
    with serving(serve.make_server(tmp_path, 0)) as address, Visit(browser, f"{address}/course") as visit:
        answers = []
        visit.page.on("response", lambda answer: answers.append((answer.status, answer.url)))
        box = visit.exercise("03_kv_cache", "kv_bytes_per_token")
        assert "Not written yet" in check(box)
        write(box, live_exercises("03_kv_cache")[0]["solution"])
        assert "Visible checks pass" in check(box)
        figure = drawn(visit.page.locator("figure-kv-calculator"))
        assert figure.locator("svg").is_visible() and figure.locator(".fig-say").inner_text().strip()
        for query in ("what+is+ttft", "rope"):
            visit.page.goto(f"{visit.site}/search.html?q={query}")
            visit.page.locator("#search-results li a").first.wait_for()
        visit.page.locator("#search-results li a").first.click()
        visit.page.locator("article h1").wait_for()
        assert visit.page.url.startswith(f"{visit.site}/book/")
        visit.page.goto(f"{visit.site}/index.html", wait_until="commit")  # which leads on to the front page
        visit.page.wait_for_url(f"{visit.site}/book/intro.html")
        visit.page.locator(".engine-map:visible a").first.click()
        visit.page.locator("article h1").wait_for()
        failed = [answer for answer in answers if answer[0] >= 400]
        assert not failed, f"missing under the path: {failed}"


# What the reader takes along ------------------------------------------------------------------------------------------


def test_the_downloaded_notebook_is_a_submission_that_nbgrader_grades(visit, tmp_path):
    topic = "03_kv_cache"
    first, second = live_exercises(topic)[:2]
    box = visit.exercise(topic, first["name"])
    write(box, first["solution"])
    other = visit.page.locator(f'.exercise[data-name="{second["name"]}"]')
    other.evaluate("card => { card.open = true; }")
    other.locator(".cm-content").wait_for()
    write(other, "def kv_cache_bytes(*numbers):\n    return 1\n")
    visit.page.evaluate("document.querySelector('.exercise[data-kind=written]').open = true")
    written = visit.page.locator(".live-written textarea").first
    written.evaluate("area => { area.closest('.exercise').open = true; }")
    written.fill("It grows like n/2.")
    with visit.page.expect_download() as download:
        visit.page.get_by_role("button", name="Download with my answers").click()
    path = tmp_path / download.value.suggested_filename
    download.value.save_as(path)
    assert path.name == f"{topic}.ipynb"
    notebook = nbformat.read(path, as_version=4)
    nbformat.validate(notebook)
    cells = {cell.metadata.get("nbgrader", {}).get("grade_id"): cell.source for cell in notebook.cells}
    assert cells[first["name"]].rstrip() == first["solution"].rstrip()
    assert "It grows like n/2." in cells.values()
    course.hand_in(tmp_path, "reader", topic, path.read_text(encoding="utf-8"))
    course.nbgrader("generate_assignment", topic, "--force", work=tmp_path)
    course.nbgrader("autograde", topic, work=tmp_path)
    scores = course.grades(tmp_path, topic)["reader"]
    worth = course.max_scores(tmp_path, topic)
    for kind in ("test", "hidden"):
        right, wrong = f"{kind}_{first['name']}", f"{kind}_{second['name']}"
        assert scores[right] == worth[right] > 0 and scores[wrong] == 0


def test_progress_lists_every_exercise_and_carries_the_work_over(visit, book, tmp_path):
    topic, name = "03_kv_cache", "kv_bytes_per_token"
    box = visit.exercise(topic, name)
    write(box, live_exercises(topic)[0]["solution"])
    check(box)
    page = visit.open("book/progress")
    row = page.locator(f'tr[data-topic="{topic}"][data-name="{name}"]')
    assert "visible checks pass" in row.inner_text()
    assert page.locator(".progress-summary").inner_text().startswith("1 of ")
    addresses = page.locator(".progress-table a").evaluate_all("links => links.map(link => link.href)")
    with page.expect_download() as download:
        page.get_by_role("button", name="Save my work as a file").click()
    download.value.save_as(tmp_path / "work.json")
    listed = {topic: len(live.topic_data(ROOT, topic)["exercises"]) for topic in CHAPTERS}
    assert len(addresses) >= sum(listed.values()) + len(listed)
    kept = json.loads((tmp_path / "work.json").read_text())
    assert list(kept["exercises"]) == [f"{topic}/{name}"]
    for address, _, place in (address.partition("#") for address in addresses):
        linked = (book / urlsplit(address).path.lstrip("/")).read_text(encoding="utf-8")
        assert f'id="{place}"' in linked or not place, f"{address} has no {place}"
    page.evaluate("CourseWork.clear()")
    page.reload()
    assert page.locator(".progress-summary").inner_text().startswith("0 of ")
    (tmp_path / "other.json").write_text('{"format": "something else"}')
    (tmp_path / "odd.json").write_text(json.dumps({**kept, "exercises": {f"{topic}/{name}": {"code": 3}}}))
    for file, says in (("other", "not a file that this book wrote"), ("odd", "nothing was changed")):
        page.locator("#progress-file").set_input_files(tmp_path / f"{file}.json")
        page.get_by_text(says).wait_for()
    page.locator("#progress-file").set_input_files(tmp_path / "work.json")
    page.get_by_text("Took over 1 exercise.").wait_for()
    assert page.locator(".progress-summary").inner_text().startswith("1 of ")
    box = visit.exercise(topic, name)
    assert "num_key_value_heads" in code_in(box)


def test_work_kept_under_a_topics_old_number_is_found_under_the_new_one(site, browser):
    old = {
        "04_kv_cache/kv_bytes_per_token": {"code": "# four"}, "03_flops_and_roofline/ridge": {"passed": "# three"},
        "13_gpu_lab/gpu_limits": {"done": True}, "04_kv_cache/kv_cache_bytes": {"code": "# older"},
    }  # fmt: skip
    newer = {"03_kv_cache/kv_cache_bytes": {"code": "# newer"}, "01_tokens_to_logits/softmax": {"attempts": 2}}
    today = {
        "03_kv_cache/kv_bytes_per_token": {"code": "# four"}, "04_flops_and_roofline/ridge": {"passed": "# three"},
        "14_gpu_lab/gpu_limits": {"done": True}, **newer,
    }  # fmt: skip
    kept = "() => JSON.parse(CourseWork.exportAll()).exercises"
    with Visit(browser, site) as visit:
        page = visit.open("book/progress")
        page.evaluate("work => work.forEach(([id, entry]) => localStorage.setItem(`exercise:${id}`, entry))",
                      [[name, json.dumps(entry)] for name, entry in {**old, **newer}.items()])  # fmt: skip
        page.reload()
        assert page.evaluate(kept) == today
        page.reload()
        assert page.evaluate(kept) == today, "the second visit moves work again"
        box = visit.exercise("03_kv_cache", "kv_bytes_per_token")
        assert code_in(box) == "# four"
        page.evaluate("CourseWork.clear()")
        file = json.dumps({"format": "llm-inference-book-work", "version": 1, "exercises": old})
        assert page.evaluate("text => CourseWork.importAll(text)", file) == len(old)
        assert "03_kv_cache/kv_bytes_per_token" in page.evaluate(kept), "a file saved before the change is not read"


# What is in the pages and what is not ---------------------------------------------------------------------------------


def test_no_file_of_the_site_holds_a_hidden_test(book):
    texts = (".html", ".js", ".json", ".ipynb", ".md", ".txt", ".xml")
    found = [
        path.relative_to(book)
        for path in sorted(book.rglob("*"))
        if path.is_file() and path.suffix in texts and b"def hidden_" in path.read_bytes()
    ]
    assert not found, f"hidden tests in {found}"


def test_a_student_edition_has_no_solution_beside_the_page():
    whole, student = (live.topic_data(ROOT, "03_kv_cache", kept) for kept in (True, False))
    assert all("solution" in entry for entry in whole["exercises"])
    assert not any("solution" in entry for entry in student["exercises"])
    reference = whole["exercises"][0]["solution"]
    answer = live_runner.attempt(student, whole["exercises"][0]["name"], reference, "check", {})
    assert answer["passed"], answer


def test_an_exercise_sees_the_readers_earlier_answer_and_else_the_reference():
    topic = live.topic_data(ROOT, "02_llama_forward")
    apply_rope = next(entry for entry in topic["exercises"] if entry["name"] == "apply_rope")
    code = apply_rope["solution"] + "\nprint(rope_tables(4, np.arange(2), 100.0)[0].shape)\n"
    request = {"topic": topic, "name": "apply_rope", "code": code, "action": "check", "answers": {}}
    answer = json.loads(live_runner.run(json.dumps(request)))
    assert answer["passed"] and answer["borrowed"] == ["rope_tables"]
    mine = "def rope_tables(*_args):\n    raise RuntimeError('mine')\n"
    answer = json.loads(live_runner.run(json.dumps({**request, "answers": {"rope_tables": mine}})))
    assert answer["reason"] == "RuntimeError: mine", "the reader's own rope_tables did not run"


def test_output_without_end_is_cut():
    topic = live.topic_data(ROOT, "03_kv_cache")
    code = "print('x' * 1_000_000)\nprint('end')\n"
    request = {"topic": topic, "name": "kv_bytes_per_token", "code": code, "action": "run", "answers": {}}
    output = json.loads(live_runner.run(json.dumps(request)))["output"]
    assert len(output) < 21_000 and output.endswith("cut off here")


@pytest.mark.parametrize("chapter", CHAPTERS)
def test_a_chapter_is_light_before_python_starts(site, browser, book, chapter):
    with Visit(browser, site) as visit:
        page = visit.open(f"book/{chapter}")
        page.locator(".exercise[data-kind=live]").first.evaluate("card => { card.open = true; }")
        page.locator(".cm-content").first.wait_for()
        paths = {urlsplit(url).path for url in visit.loaded if url.startswith(site)}
    size = sum(len(gzip.compress((book / path.lstrip("/")).read_bytes())) for path in paths)
    assert not any("pyodide" in path for path in paths), "Python is loaded before it is asked for"
    assert size <= 1_500_000, f"{size / 1e6:.2f} MB gzipped"


def test_from_disk_the_page_says_how_to_run_code(book, browser):
    page = browser.new_page()
    page.goto((book / f"book/{CHAPTERS[0]}.html").as_uri())
    page.get_by_role("button", name="Open all").click()
    assert page.get_by_text("To run code here, serve the book: make serve").first.is_visible()
    assert page.locator(".live-editor").count() == 0
    assert page.locator(".exercise-starter").first.is_visible()
    page.close()
