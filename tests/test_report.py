"""The class report, on a small class put into a gradebook through nbgrader's API with the outputs that checks give."""

import csv
import re
from datetime import datetime

import nbformat
import pytest
from nbgrader.api import Gradebook
from sqlalchemy import text as sql

from autograder import __main__
from autograder.assignment import notebooks
from autograder.auditor.candidates import load_topic
from autograder.auditor.children import score_all
from autograder.grading import course
from autograder.intake.graft import NOTES_HEADING
from autograder.results import class_result, items, misconceptions, report
from autograder.results.similarity import near_identical

TOPIC = "01_x"
EXERCISE = '''
# %% [markdown] task="NAME" stars=1 minutes=5
# ## 1. The NAME
#
# <details><summary>Hint 1</summary>a</details>
# <details><summary>Hint 2</summary>b</details>

# %% solution="NAME"
def NAME(x):
    """NAME of x."""
    ### BEGIN SOLUTION
    return x / 2
    ### END SOLUTION

# %% tryit="NAME"
print(NAME(1))

# %% test="NAME" points=1
def test_NAME():
    assert NAME(8) == 4, f"NAME(8) is 4, you returned {NAME(8)}"


test_NAME()

# %% hidden="NAME" points=2
def hidden_NAME():
    assert NAME(-3) == -1.5, f"secret: NAME(-3) is -1.5, you returned {NAME(-3)}"


hidden_NAME()
'''
HEADER = """# ---
# jupyter:
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---
"""
ANSWER = """
# %% [markdown] answer="why" points=2
# **Why?**
#
# ### BEGIN SOLUTION
# Because.
# ### END SOLUTION
"""
NAMES = ("half", "middle", "mean")
RIGHT = "def NAME(x):\n    return x / 2\n"
FLOOR = "def NAME(x):\n    return x // 2\n"  # passes the visible check
MINUS = "def NAME(x):\n    return x - 2\n"
LEAKS = "def NAME(x):\n    raise ValueError('my name is zoe <script>alert(1)</script>')\n"
BANK = f"""\
== wrong floor whole, caught by hidden
Drops the half of odd numbers.
{FLOOR}
== wrong minus whole, caught by test
Takes away instead of dividing.
{MINUS}
== right times
Times.
def NAME(x):
    return 0.5 * x

== right divmod
Power.
def NAME(x):
    return x * 2 ** -1
"""
CLASS = {
    "ada": [RIGHT, RIGHT, RIGHT],
    "ben": [FLOOR, RIGHT, RIGHT],
    "chi": [FLOOR, MINUS, None],
    "dan": [None, None, None],
    "zoe": [LEAKS, MINUS, None],
}


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    """A course of one assignment: script, audit bank, both notebooks."""
    folder = tmp_path_factory.mktemp("course")
    script = folder / "solutions" / TOPIC / f"{TOPIC}.py"
    script.parent.mkdir(parents=True)
    script.write_text(HEADER + "".join(EXERCISE.replace("NAME", name) for name in NAMES) + ANSWER)
    for name in NAMES:
        bank = folder / "autograder" / "audit" / TOPIC / f"{name}.txt"
        bank.parent.mkdir(parents=True, exist_ok=True)
        bank.write_text(BANK.replace("NAME", name))
    for path, content in notebooks.build(script, folder / "notebooks", notebooks.course_config()).items():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    return folder


@pytest.fixture(scope="module")
def work(root, tmp_path_factory):
    """The class in a gradebook; `eli` is in it and handed in nothing."""
    folder = tmp_path_factory.mktemp("class")
    topic, _, _ = load_topic(TOPIC, root)
    answers = {
        student: {name: code.replace("NAME", name) for name, code in zip(NAMES, texts, strict=True) if code}
        for student, texts in CLASS.items()
    }
    starters = {name: f"def {name}(x):\n    raise NotImplementedError\n" for name in NAMES}
    candidates = [(student, starters | own, list(NAMES), 10, False) for student, own in answers.items()]
    runs = dict(score_all(topic, 2, candidates))
    with Gradebook(f"sqlite:///{folder / 'gradebook.db'}", "x") as gradebook:
        gradebook.db.execute(sql("PRAGMA synchronous = OFF"))  # the API commits after every row
        gradebook.add_assignment(TOPIC, duedate=datetime(2026, 12, 5))
        gradebook.add_notebook(TOPIC, TOPIC)
        for name in NAMES:
            for kind, points in (("test", 1), ("hidden", 2)):
                gradebook.add_grade_cell(f"{kind}_{name}", TOPIC, TOPIC, max_score=points, cell_type="code")
        gradebook.add_grade_cell("answer_why", TOPIC, TOPIC, max_score=2, cell_type="markdown")
        gradebook.add_student("eli")
        for student, own in answers.items():
            gradebook.add_student(student)
            day = {"ada": 1, "ben": 3, "zoe": 6}.get(student)
            gradebook.add_submission(TOPIC, student, timestamp=day and datetime(2026, 12, day))
            for grade_id, points in runs[student].points.items():
                grade = gradebook.find_grade(grade_id, TOPIC, TOPIC, student)
                grade.auto_score, grade.needs_manual_grade = points, False
            why = gradebook.find_grade("answer_why", TOPIC, TOPIC, student)
            why.needs_manual_grade, why.auto_score = student == "ada", None if student == "ada" else 0
            gradebook.db.commit()
            notebook = course.submission(TOPIC, own | ({"answer_why": "Since."} if student == "ada" else {}), root)
            if student == "dan":
                notes = f"{NOTES_HEADING}\n\n- It is not JSON.\n- dan.py was set aside."
                notebook.cells.insert(0, nbformat.v4.new_markdown_cell(notes))
            for cell in notebook.cells:
                reason = runs[student].reasons.get(cell.id, "")
                if reason:
                    name, _, said = reason.partition(": ")
                    cell.outputs = [nbformat.v4.new_output("error", ename=name, evalue=said, traceback=[])]
            place = folder / "autograded" / student / TOPIC
            place.mkdir(parents=True)
            nbformat.write(notebook, place / f"{TOPIC}.ipynb")
    return folder


@pytest.fixture(autouse=True)
def own_database(monkeypatch):
    monkeypatch.delenv("NBGRADER_DB_URL", raising=False)


@pytest.fixture(scope="module")
def result(root, work):
    return class_result.read_class(work, TOPIC, root)


@pytest.fixture(scope="module")
def pages(root, work, tmp_path_factory):
    """{public: {file name: text}} of the report in both modes."""
    found = {}
    for public in (False, True):
        out = tmp_path_factory.mktemp("report")
        found[public] = {path.name: path.read_text() for path in report.write_report(work, TOPIC, out, public, root)}
    return found


def test_who_wrote_what(result):
    assert result.active == ["ada", "ben", "chi", "zoe"]
    assert result.absent == ["eli"]
    assert result.to_grade == {"answer_why": ["ada"]}
    assert [result.answers["chi"][name].blank for name in NAMES] == [False, False, True]


def test_difficulty_and_discrimination_follow_their_definitions(result):
    half, middle, mean = items.items(result)
    # points: half 3 1 1 0, middle 3 3 0 0, mean 3 3 0 0
    assert half.difficulty == pytest.approx(5 / 12) and middle.difficulty == pytest.approx(0.5)
    # against what is left: 6 6 0 0
    # deviations 1.75 -.25 -.25 -1.25 and 3 3 -3 -3: products 9, squares 4.75 and 36
    assert half.discrimination == pytest.approx(9 / 171**0.5)
    assert (half.full, half.part, half.none, half.blank) == (1, 2, 1, 0)
    assert (mean.full, mean.blank) == (2, 2)


def test_failures_stand_together_and_bear_the_name_of_the_mistake(result, root):
    groups = misconceptions.misconceptions(result, misconceptions.bank_messages(TOPIC, root))
    floor, leak = groups["half"]
    assert floor.students == ["ben", "chi"]
    assert floor.named == {"floor": "Drops the half of odd numbers"}
    assert leak.students == ["zoe"] and not leak.named
    [minus] = groups["middle"]
    assert minus.students == ["chi", "zoe"] and list(minus.named) == ["minus"]
    assert groups["mean"] == [], "an exercise that was not written is no misconception"


def test_messages_match_in_spite_of_other_numbers(result):
    bank = {"half": {"other": (("", "secret: half(-3) is -1.5, you returned -77.5"), "Returns something else")}}
    assert list(misconceptions.misconceptions(result, bank)["half"][0].named) == ["other"]


def test_the_page_is_whole_and_safe(pages):
    page = pages[False][f"{TOPIC}.html"]
    assert not re.search(r"""(src|href)=["']?(https?:)?//""", page), "the page loads from the network"
    assert page.count("<img ") == 1 and 'alt=""' not in page
    assert "<script" not in page and "&lt;script&gt;" in page
    for told in ("ben, chi", "No submission: 1 (eli)", "(dan)", "answer_why: 1 (ada)", "Drops the half"):
        assert told in page, told
    assert "The time of 3 submissions is known; half of them came 48 hours or more before" in page
    assert re.search(r"<dt>written answers that wait</dt><dd>1</dd>", page)
    assert "1 came late (zoe)" in page and "dan: It is not JSON. dan.py was set aside." in page


def test_the_page_fits_a_telephone_and_paper_and_is_dark_where_asked(pages, browser, tmp_path):
    for public in (False, True):
        name = f"{TOPIC}_public.html" if public else f"{TOPIC}.html"
        (tmp_path / name).write_text(pages[public][name], encoding="utf-8")
        context = browser.new_context(offline=True, color_scheme="dark", viewport={"width": 390, "height": 800})
        page = context.new_page()
        page.goto((tmp_path / name).as_uri())
        assert page.evaluate("document.documentElement.scrollWidth") <= 390
        paper = page.evaluate("getComputedStyle(document.documentElement).backgroundColor")
        assert sum(map(int, re.findall(r"\d+", paper)[:3])) < 150, f"a light page in the dark: {paper}"
        page.emulate_media(media="print", color_scheme="light")
        page.set_viewport_size({"width": 673, "height": 950})  # A4 less its margins
        assert page.evaluate("document.documentElement.scrollWidth") <= 673, "a table is cut off on paper"
        ends = page.evaluate("[...document.querySelectorAll('nav a')].map(a => !!document.querySelector(a.hash))")
        assert ends and all(ends), "a link of the page leads nowhere"
        context.close()


def test_the_public_page_names_nobody_and_shows_no_hidden_check(pages):
    assert set(pages[True]) == {f"{TOPIC}_public.html", f"{TOPIC}_public.csv"}
    for text in pages[True].values():
        words = set(re.findall(r"\w+", re.sub(r'src="data:[^"]*"', "", text)))
        assert not words & {*CLASS, "eli", "secret"}, words & {*CLASS, "eli", "secret"}
    assert "Drops the half of odd numbers" in pages[True][f"{TOPIC}_public.html"]


def test_the_tables_hold_the_numbers(pages):
    rows = list(csv.DictReader(pages[False][f"{TOPIC}.csv"].splitlines()))
    assert [row["exercise"] for row in rows] == list(NAMES)
    assert rows[0]["difficulty"] == "0.417" and rows[0]["most frequent named mistakes"] == "floor (2)"
    scores = {
        row["student"]: float(row["points"]) for row in csv.DictReader(pages[False][f"{TOPIC}_scores.csv"].splitlines())
    }
    assert scores == {"ada": 9, "ben": 7, "chi": 1, "dan": 0, "zoe": 0}
    waits = {
        row["student"]: row["answer_why"] for row in csv.DictReader(pages[False][f"{TOPIC}_scores.csv"].splitlines())
    }
    assert waits["ada"] == "waits" and waits["dan"] == "0.0", "an answer that waits for a person is not zero points"


def test_command_writes_and_refuses(work, tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(report, "write_report", lambda *given: [given[2] / "page.html"])
    assert __main__.main(["report", TOPIC, "--work", str(work)]) == 0
    assert str(work / "report" / "page.html") in capsys.readouterr().out
    monkeypatch.undo()
    assert __main__.main(["report", "03_kv_cache", "--work", str(tmp_path)]) == 1
    assert "run `nbgrader autograde 03_kv_cache` first" in capsys.readouterr().err
    assert not (tmp_path / "gradebook.db").exists(), "asking for a report made an empty gradebook"
    assert __main__.main(["report", "03_kv_cache", "--work", str(work)]) == 1
    assert __main__.main(["report", "99_none", "--work", str(work)]) == 1


LONG = """
def attend(q, k, v):
    \"\"\"One head.\"\"\"
    scores = q @ k.swapaxes(-1, -2) / math.sqrt(q.shape[-1])
    mask = np.tril(np.ones(scores.shape[-2:], dtype=bool), k=k.shape[-2] - q.shape[-2])
    scores = np.where(mask, scores, -np.inf)
    weights = np.exp(scores - scores.max(axis=-1, keepdims=True))
    return weights / weights.sum(axis=-1, keepdims=True) @ v
"""
OTHER = """
def attend(q, k, v):
    out = np.zeros(q.shape[:-1] + v.shape[-1:])
    past = k.shape[0] - q.shape[0]
    for row in range(q.shape[0]):
        logits = [float(np.dot(q[row], k[column])) / q.shape[1] ** 0.5 for column in range(past + row + 1)]
        largest = max(logits)
        powers = [math.exp(logit - largest) for logit in logits]
        out[row] = sum(power * v[column] for column, power in enumerate(powers)) / sum(powers)
    return out
"""


def test_renaming_and_comments_do_not_hide_a_copy():
    renamed = LONG.replace("scores", "s").replace("mask", "allowed").replace('"""One head."""', '"""Mine."""  # mine')
    found = near_identical({"a": [LONG], "b": [OTHER], "c": [renamed]})
    assert found == [(1.0, ["a", "c"])]


def test_what_everyone_was_given_and_what_is_short_is_no_copy():
    assert near_identical({"a": [LONG], "b": [LONG]}, given=[LONG]) == []
    assert near_identical({"a": ["x = 1"], "b": ["x = 1"]}) == []
    assert near_identical({"a": ["def f(:" + LONG], "b": ["def f(:" + LONG]}) == [(1.0, ["a", "b"])], "not Python"
