"""Feedback: each lost point has its message and hint, nothing of a hidden test gets out, and the page works offline."""

import os
import re

import nbformat
import pytest
from nbconvert.exporters import HTMLExporter
from nbgrader.api import Gradebook
from small_course import NAMES, TOPIC, floored, make_course, right
from traitlets.config import Config

from autograder.assignment.script import read_script
from autograder.auditor.candidates import load_topic, scratch_folder
from autograder.auditor.children import score_all
from autograder.grading import course
from autograder.results import feedback, wording

TOPICS = sorted(path.stem for path in (course.ROOT / "solutions").glob("*/*.py"))
BANK = "03_kv_cache"
NUMBER = re.compile(r"\d[\d_.,]*\d|\d")


def error(ename, evalue, traceback=()):
    return nbformat.v4.new_output("error", ename=ename, evalue=evalue, traceback=list(traceback))


def hidden(source, ename="AssertionError", evalue=""):
    return nbformat.v4.new_code_cell(source, outputs=[error(ename, evalue)])


def render(notebook, assignment, score=0, max_score=1):
    """The page, by the course's template and preprocessor, without a gradebook."""
    config = Config()
    config.HTMLExporter.extra_template_basedirs = [str(course.ROOT / "autograder" / "results" / "templates")]
    config.HTMLExporter.template_name = "course_feedback"
    config.HTMLExporter.preprocessors = [feedback.FeedbackView]
    grades = {"notebook": assignment, "assignment": assignment, "score": score, "max_score": max_score}
    exporter = HTMLExporter(config=config)
    return exporter.from_notebook_node(notebook, resources={"nbgrader": grades | {"late_penalty": 0}})[0]


@pytest.fixture(scope="module")
def bank():
    """[(page, hidden messages, what else the student may know)]: a class that gives every wrong answer of a topic."""
    release = nbformat.read(course.ROOT / "notebooks" / BANK / f"{BANK}.ipynb", as_version=4)
    cells = read_script(course.ROOT / "solutions" / BANK / f"{BANK}.py")
    hidden_sources = {cell.grade_id: cell.source for cell in cells if cell.kind == "hidden"}
    with scratch_folder(course.ROOT / "solutions" / BANK):
        topic, banks, _ = load_topic(BANK, course.ROOT)
        wrong = {name: [answer.source for answer in bank.wrong.values()] for name, bank in banks.items()}
        work = [((name, i), {name: text}, [name], 10, False) for name in wrong for i, text in enumerate(wrong[name])]
        runs = dict(score_all(topic, 2, work))
    made = []
    for i in range(max(map(len, wrong.values()))):
        notebook, known, secret = nbformat.from_dict(release), [nbformat.writes(release)], []
        notebook = nbformat.reads(nbformat.writes(release), as_version=4)
        for cell in notebook.cells:
            marks = cell.metadata.get("nbgrader", {})
            name = course.exercise_of(cell.id)
            if cell.id in wrong and i < len(wrong[cell.id]):
                cell.source = wrong[cell.id][i]
                known.append(cell.source)
            if marks.get("grade"):
                reason = runs[name, i].reasons[cell.id] if (name, i) in runs else ""
                marks.update(score=0 if reason else marks["points"])
                if reason:
                    ename, _, said = reason.partition(": ")
                    cell.outputs = [error(ename, said)]
                    (secret if cell.id.startswith("hidden_") else known).append(said)
            cell.source = hidden_sources.get(cell.id, cell.source)
        made.append((notebook, secret, "\n".join(known)))
    return [(render(notebook, BANK), secret, known) for notebook, secret, known in made], hidden_sources


def leaks(page, secret, known, sources):
    """What of the hidden tests is in a page: lines of their source, numbers and quoted texts of their messages."""
    page = re.sub(r"<style>.*?</style>", "", page, flags=re.S)
    lines = {line.strip() for source in sources.values() for line in source.split("\n") if len(line.strip()) > 25}
    found = {line for line in lines if line in page and line not in known}
    tokens = {token for said in secret for token in NUMBER.findall(said) if len(token) > 1}
    return found | {token for token in tokens - set(NUMBER.findall(known)) if token in NUMBER.findall(page)}


def test_a_class_of_wrong_answers_learns_nothing_of_hidden_tests(bank, monkeypatch):
    pages, sources = bank
    assert sum(len(secret) for _, secret, _ in pages) > 40, "too few answers fail hidden checks to say anything"
    for page, secret, known in pages:
        assert not leaks(page, secret, known, sources)
        assert "def hidden_" not in page and "Traceback" not in page
    page, secret, known = pages[0]
    assert leaks(page + " ".join(secret), secret, known, sources), "the search would not find a leak"
    assert leaks(page + sources[f"hidden_{EXERCISE}"], secret, known, sources)


EXERCISE = next(
    cell.name for cell in read_script(course.ROOT / "solutions" / BANK / f"{BANK}.py") if cell.kind == "hidden"
)


@pytest.mark.parametrize("topic", TOPICS)
def test_no_value_of_any_hidden_message_gets_through(topic):
    """Every message of every hidden test, with a word in place of each value."""
    checked = 0
    for cell in read_script(course.ROOT / "solutions" / topic / f"{topic}.py"):
        if cell.kind != "hidden":
            continue
        for parts, whole in wording.wordings(cell.source):
            said = "".join("SECRET 8.25" if part is None else part for part in parts)
            said = (
                said if whole else f"Not equal to tolerance rtol=1e-07\n{said}\nMismatched elements: 3 / 7331 [SECRET]"
            )
            shown = wording.hidden_words(hidden(cell.source, evalue=said))
            assert "SECRET" not in shown and not re.search(r"(?<![\w.])(?<!\w-)\d", shown), f"{cell.grade_id}: {shown}"
            checked += 1
    assert checked, "no hidden message was looked at"


def test_hidden_words_keep_what_teaches():
    message = 'f"{n} heads give {n * 2} bytes, you returned {f(n)}: K and V are two arrays"'
    source = f"def hidden_f():\n    for n in (3, 4):\n        assert f(n) == n, {message}\n"
    said = "3 heads give 6 bytes, you returned 5: K and V are two arrays"
    assert wording.hidden_words(hidden(source, evalue=said)) == (
        "… heads give … bytes, you returned …: K and V are two arrays"
    )
    assert wording.hidden_words(hidden(source, evalue="something else, 42")) == wording.GENERAL
    assert wording.hidden_words(hidden(source, "ValueError", "42 is bad")) == "your code raises ValueError there."
    assert wording.hidden_words(hidden(source, "Saw42", "x")) == "your code raises an error there."
    assert "process had ended" in wording.hidden_words(hidden(source, "StudentProcessError", "x 42"))
    limit = "It used more memory than it may. Later cells did not run."
    assert wording.hidden_words(hidden(source, "DeadKernelError", limit)).endswith(
        "ended. It used more memory than it may."
    )
    assert wording.hidden_words(hidden("not python (", evalue="42")) == wording.GENERAL
    assert wording.hidden_words(nbformat.v4.new_code_cell(source)) == ""
    named = 'def hidden_f():\n    message = f"the rows of {1} differ" if x else "no row at all"\n    assert 0, message'
    assert wording.hidden_words(hidden(named, evalue="the rows of 7 differ")) == "the rows of … differ"
    assert wording.hidden_words(hidden(named, evalue="no row at all")) == "no row at all"


# Through nbgrader.

SPY = "SEEN = []\n\n\ndef half(x):\n    SEEN.append(x)\n    return x / 2\n"
TELL = "print('told', SEEN)\nraise ValueError(f'told {SEEN}')\n"
TEXT = "chosen by the line"  # by which line fails, by the kind of the error, by how many cells fail
LINES = f"try:\n    SEEN[2]\nexcept IndexError:\n    raise RecursionError\nraise ConnectionError  # {TEXT}\n"
LOG = "def middle(x):\n    return SEEN\n"
CHOSEN = "def middle(x):\n    raise type(f'Saw{SEEN[-1]}'.replace('.', '_'), (Exception,), {})(SEEN)\n"


@pytest.fixture(scope="module")
def work(tmp_path_factory):
    os.environ.setdefault("COURSE_JAIL", "trusted")
    root, work = make_course(tmp_path_factory.mktemp("course")), tmp_path_factory.mktemp("class")
    (root / "_config.yml").write_text("html:\n  html_baseurl: https://llm.example.edu/course/\n")
    both = {name: right(name) for name in NAMES}
    wrong = both | {
        "half": "def half(x):\n    return x - 4\n",
        "middle": floored("middle"),
        "answer_why": "Since <b>so</b>.",
    }
    odd = {"half": "def my_half(x):\n    return x / 2\n", "middle": "def middle(x)\n    return x / 2\n"}
    spies = {"spy": right("middle"), "log": LOG, "chosen": CHOSEN}
    spies = {student: both | {"half": SPY, "middle": middle} for student, middle in spies.items()}
    for student, answers in {"ada": both, "eve": wrong, "nil": {}, "odd": odd, **spies}.items():
        notebook = course.submission(TOPIC, answers, root)
        if student == "spy":
            at = next(i for i, cell in enumerate(notebook.cells) if cell.id == "hidden_half")
            notebook.cells[at + 1 : at + 1] = [nbformat.v4.new_code_cell(text) for text in (TELL, *[LINES] * 5)]
        if student == "eve":
            notebook.cells.insert(2, nbformat.v4.new_code_cell("x = 1\nprint(undefined)  # mine\n"))
        course.hand_in(work, student, TOPIC, notebook)
    course.nbgrader("autograde", TOPIC, work=work, root=root)
    with Gradebook(course.database(work)) as gradebook:
        grade = gradebook.find_grade("test_middle", TOPIC, TOPIC, "eve")
        grade.manual_score = 0
        gradebook.find_comment("half", TOPIC, TOPIC, "eve").manual_comment = "Look at <i>step 2</i>."
        gradebook.db.commit()
    course.nbgrader("generate_feedback", TOPIC, work=work, root=root)
    return work


@pytest.fixture(scope="module")
def pages(work):
    return {path.parent.parent.name: path.read_text() for path in work.glob("feedback/*/*/*.html")}


def test_a_page_says_what_and_why(pages):
    page = pages["eve"]
    assert "half(8) is 4, you returned 4.0: is it halved?" not in page, "that check passed"
    assert "Hidden checks: 0 of 2 points.</strong>\nof … the half is …, you returned …: whole numbers only?" in page
    assert page.count("<strong>Hint 1</strong>") == 2 and "<em>division</em>" in page and "Nearly code" not in page
    assert "NameError: name 'undefined' is not defined" in page and "print(undefined)  # mine" in page
    assert "Taken off by the person who looked at it" in page
    assert "Look at &lt;i&gt;step 2&lt;/i&gt;." in page and "Since &lt;b&gt;so&lt;/b&gt;." in page
    assert "1 written answer still waits" in page and "Not graded yet" in page
    assert 'href="https://llm.example.edu/course/book/01_x.html"' in page
    assert "<strong>6 of 8 points</strong>" in pages["ada"] and "Hint 1" not in pages["ada"]


def test_an_answer_that_was_not_written_is_said_in_a_line(pages):
    page = pages["nil"]
    assert page.count("Nothing was written here") == len(NAMES) + 1 and page.count("<strong>Hint 1</strong>") == len(
        NAMES
    )
    assert "NotImplementedError" not in page and "No response." not in page and "Hidden checks" not in page


def test_a_function_of_another_name_and_a_text_that_is_no_python(pages):
    """Even after a hidden check: neither can tell of what that check gave the student's code."""
    page = pages["odd"]
    assert "the checks look for half, and the cell does not define it; yours is my_half." in page
    assert "at <code>def middle(x)</code>: SyntaxError: expected ':' (line 1 of the cell)" in page
    assert page.count("<strong>Hint 1</strong>") == 1, "a hint for a function that is not there"


def test_a_spy_cannot_print_what_hidden_tests_gave_it(pages):
    page = pages["spy"]
    assert "told [" not in page and "7335.5" not in page
    assert page.count("An error in your own cell: it stops with an error; run your notebook from its top") == 1
    assert not any(word in page for word in (TEXT, "ConnectionError", "RecursionError", "ValueError"))


def test_a_later_visible_check_shows_no_value_of_an_earlier_hidden_one(pages):
    """The first exercise keeps what it was given, the second returns it, or raises it, in a check that all can see."""
    page = pages["log"]
    assert "7335.5" not in page and "SEEN[" not in page
    assert "middle(8) is 4, you returned …: is it halved? (Run this check in your notebook to see" in page
    page = pages["chosen"]
    assert not re.search(r"7335|Saw\d", page)
    assert "your code raises an error when the check tries middle(int)." in page


def test_the_page_works_offline_small_dark_and_printed(work, bank, browser, tmp_path):
    (tmp_path / "long.html").write_text(bank[0][0][0])
    for path in [*work.glob("feedback/*/*/*.html"), tmp_path / "long.html"]:
        asked = []
        context = browser.new_context(offline=True, color_scheme="dark", viewport={"width": 390, "height": 800})
        page = context.new_page()
        page.on("request", lambda request, asked=asked: asked.append(request.url))
        page.goto(path.as_uri())
        assert asked == [path.as_uri()], f"the page asks for {asked[1:]}"
        assert page.evaluate("document.documentElement.scrollWidth") <= 390, "the page is wider than a telephone"
        ink, paper = page.evaluate(
            "[getComputedStyle(document.body).color, matchMedia('(prefers-color-scheme: dark)').matches]"
        )
        assert paper and sum(map(int, re.findall(r"\d+", ink)[:3])) > 600, f"dark letters in the dark: {ink}"
        page.emulate_media(media="print", color_scheme="light")
        ink = page.evaluate("getComputedStyle(document.body).color")
        assert sum(map(int, re.findall(r"\d+", ink)[:3])) < 150
        assert len(page.pdf(format="A4")) > 5000
        hints = page.locator(".hint")
        assert all(hints.nth(i).is_visible() for i in range(hints.count())), "a hint is not on paper"
        context.close()
