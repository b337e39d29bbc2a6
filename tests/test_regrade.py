"""Re-grading after a changed test, through nbgrader: what a person gave stays, what moved is shown, all or nothing."""

import csv
import hashlib
import os
import shutil
import sqlite3

import nbformat
import pytest
from nbgrader.api import Gradebook
from small_course import NAMES, TOPIC, floored, make_course, right, script, write_script

from autograder import __main__
from autograder.grading import course, regrade
from autograder.intake import graft

PLUS = "def half(x):\n    return abs(x) / 2\n"  # wrong below zero, which only the new test looks at
MENDED = 'assert NAME(-3) == -1.5, f"NAME(-3) is -1.5, you returned {NAME(-3)}"\n    assert NAME(8) == 4'


def new_script():
    """The next version: a stricter test, other points, one exercise renamed, one new, a new name for the answer."""
    text = script(("half", "centre", "third"))
    head, tail = text.split('task="centre"')
    head = head.replace("assert half(8) == 4", MENDED.replace("NAME", "half")).replace("points=2", "points=4", 1)
    return f'{head}task="centre"{tail}'.replace('answer="why"', 'answer="reason"')


@pytest.fixture(scope="module")
def before(tmp_path_factory):
    """(root, work) of a class graded with the first version, with scores, comments and extra credit given by hand."""
    os.environ.setdefault("COURSE_JAIL", "trusted")
    root, work = make_course(tmp_path_factory.mktemp("course")), tmp_path_factory.mktemp("class")
    both = {name: right(name) for name in NAMES}
    people = {
        "ada": both | {"answer_why": "Since."},
        "ben": both | {"half": PLUS, "middle": floored("middle"), "answer_why": "So."},
        "eve": {"half": right("half")},
        "gone": both,
    }
    for student, answers in people.items():
        course.hand_in(work, student, TOPIC, course.submission(TOPIC, answers, root))
    course.nbgrader("autograde", TOPIC, work=work, root=root)
    with Gradebook(course.database(work)) as gradebook:
        for student, cell, score, extra in (("ada", "answer_why", 1.5, None), ("ben", "hidden_middle", 1, 0.5)):
            grade = gradebook.find_grade(cell, TOPIC, TOPIC, student)
            grade.manual_score, grade.extra_credit, grade.needs_manual_grade = score, extra, False
        gradebook.find_comment("answer_why", TOPIC, TOPIC, "ada").manual_comment = "Nearly."
        gradebook.find_comment("half", TOPIC, TOPIC, "ben").manual_comment = "Below zero?"
        gradebook.db.commit()
    shutil.rmtree(work / "submitted" / "gone")
    write_script(root, new_script())
    return root, work


@pytest.fixture
def fresh(before, tmp_path):
    """(root, work): a copy of that class for one test."""
    shutil.copytree(before[1], tmp_path / "class")
    return before[0], tmp_path / "class"


def state(work):
    """What a re-grading may change: the gradebook's rows and the graded notebooks."""
    with sqlite3.connect(work / "gradebook.db") as database:
        rows = "\n".join(database.iterdump())
    files = {str(path): path.read_bytes() for path in sorted(work.glob("autograded/**/*")) if path.is_file()}
    return hashlib.sha256(rows.encode() + repr(files).encode()).hexdigest()


RENAMES = {"middle": "centre", "why": "reason"}


@pytest.fixture(scope="module")
def after(before, tmp_path_factory):
    """(work, rows as dicts, folder, what the state was) of the class after the re-grading."""
    root, work = before[0], tmp_path_factory.mktemp("after") / "class"
    shutil.copytree(before[1], work)
    then = state(work)
    rows, folder, settled = regrade.regrade(work, TOPIC, RENAMES, jobs=2, root=root)
    return work, [dict(zip(regrade.HEADER, row, strict=True)) for row in rows], folder, then, settled


def test_the_old_version_names_the_way_out(before):
    """In autograder/, where a class is by default and the release is that of the repository."""
    root, work = before
    place = root / "autograder"
    shutil.copytree(work / "submitted", place / "submitted")
    shutil.copyfile(work / "gradebook.db", place / "gradebook.db")
    with pytest.raises(course.CommandFailed, match="python -m autograder regrade 01_x"):
        course.nbgrader("autograde", TOPIC, "--force", work=place, root=root)
    write_script(root, script().replace("assert half(8) == 4", MENDED.replace("NAME", "half")))
    said = course.nbgrader("autograde", TOPIC, "--force", "--student", "eve", work=place, root=root)
    write_script(root, new_script())
    assert "These tests changed since the gradebook was filled" in said and "used: test_half." in said


def test_scores_are_those_of_the_new_tests(after):
    scores = course.grades(after[0], TOPIC)
    assert scores["ada"] | {"answer_reason": 1.5} == {
        "test_half": 1, "hidden_half": 4, "test_centre": 1, "hidden_centre": 2, "test_third": 0, "hidden_third": 0,
        "answer_reason": 1.5,
    }  # fmt: skip
    assert (scores["ben"]["test_half"], scores["ben"]["hidden_half"]) == (0, 4)
    assert scores["ben"]["test_centre"] == 1, "an answer under the old name is lost"
    assert scores["eve"]["test_third"] == 0 and scores["eve"]["hidden_half"] == 4


def test_what_was_given_by_hand_stays(after):
    work, _, _, _, settled = after
    with Gradebook(course.database(work)) as gradebook:
        mark = gradebook.find_grade("answer_reason", TOPIC, TOPIC, "ada")
        assert (mark.manual_score, mark.score) == (1.5, 1.5)
        assert settled == 1 and not mark.needs_manual_grade, "nothing changed there: nobody need look again"
        mark = gradebook.find_grade("hidden_centre", TOPIC, TOPIC, "ben")
        assert (mark.manual_score, mark.extra_credit, mark.score) == (1, 0.5, 1.5)
        assert mark.needs_manual_grade, "its test is another one: a person must look"
        assert gradebook.find_comment("answer_reason", TOPIC, TOPIC, "ada").comment == "Nearly."
        assert gradebook.find_comment("half", TOPIC, TOPIC, "ben").comment == "Below zero?"


def test_the_table_says_what_moved_and_why(after):
    _, rows, folder, _, _ = after
    assert list(csv.DictReader((folder / "moved.csv").read_text().splitlines()))[0].keys() == set(regrade.HEADER)
    why = {(row["student"], row["cell"]): row for row in rows}
    row = why["ben", "test_half"]
    assert (row["before"], row["after"], row["why"]) == (1, 0, "the test changed")
    assert why["ada", "hidden_half"]["why"] == "points 2 -> 4"
    assert why["ada", "test_third"]["why"] == "new cell" and why["ada", "test_third"]["before"] == ""
    assert why["ben", "hidden_centre"]["why"] == "renamed from hidden_middle"
    assert why["ada", "answer_reason"]["by hand"] == 1.5
    assert ("ada", "test_half") not in why, "nothing moved there"
    assert why["gone", "hidden_half"]["why"] == "its submission is gone: not graded again"
    text = regrade.summary([list(row.values()) for row in rows], 1)
    assert "ada: +2" in text and "test_half: the test changed" in text


def test_restore_brings_the_old_state_back(after, tmp_path):
    work, _, folder, then, _ = after
    shutil.copytree(work, tmp_path / "class")
    work = tmp_path / "class"
    assert state(work) != then
    regrade.restore(work, work / "regrade" / folder.name, work / "gradebook.db")
    assert state(work).split() and course.grades(work, TOPIC)["ben"]["test_half"] == 1
    assert (work / "autograded" / "ben" / TOPIC).is_dir()


def test_an_error_on_the_way_changes_nothing(fresh, monkeypatch):
    root, work = fresh
    then = state(work)
    with pytest.raises(regrade.CannotRegrade, match="no nothere that is gone"):
        regrade.regrade(work, TOPIC, {"nothere": "centre"}, root=root)
    monkeypatch.setattr(regrade.Round, "run", lambda self, *command: (_ for _ in ()).throw(regrade.CannotRegrade("no")))
    with pytest.raises(regrade.CannotRegrade):
        regrade.regrade(work, TOPIC, RENAMES, root=root)
    assert state(work) == then and not list(work.glob("regrade/*/new"))


def prepared(fresh):
    """A Round that has graded (its notebooks are made up) and is about to take over."""
    root, work = fresh
    this = regrade.Round(work, TOPIC, root)
    this.set_up()
    for student in ("ada", "ben", "newcomer"):
        path = this.new / "autograded" / student / TOPIC / f"{TOPIC}.ipynb"
        path.parent.mkdir(parents=True)
        path.write_text("{}")
    return this


def test_an_error_while_taking_over_is_undone(fresh, monkeypatch):
    then, this, real = state(fresh[1]), prepared(fresh), regrade.copy_database

    def fails(source, target):
        if str(source).endswith("new/gradebook.db"):
            raise OSError("disk full")
        real(source, target)

    monkeypatch.setattr(regrade, "copy_database", fails)
    with pytest.raises(OSError, match="disk full"):
        this.take_over()
    assert state(fresh[1]) == then


def test_a_gradebook_that_changed_meanwhile_is_not_overwritten(fresh):
    this = prepared(fresh)
    with Gradebook(course.database(fresh[1])) as gradebook:
        gradebook.find_grade("test_half", TOPIC, TOPIC, "eve").manual_score = 0.5
        gradebook.db.commit()
    then = state(fresh[1])
    with pytest.raises(regrade.CannotRegrade, match="meanwhile"):
        this.take_over()
    assert state(fresh[1]) == then


def test_what_cannot_be_regraded_is_said(fresh, capsys, monkeypatch, tmp_path):
    root, work = fresh
    with pytest.raises(regrade.CannotRegrade, match="no assignment 99_x"):
        regrade.regrade(work, "99_x", root=root)
    assert __main__.main(["regrade", "03_kv_cache", "--work", str(work)]) == 1
    assert "nothing of 03_kv_cache is graded" in capsys.readouterr().err
    assert __main__.main(["regrade", "03_kv_cache", "--work", str(work), "--restore", str(tmp_path)]) == 1
    monkeypatch.setenv("NBGRADER_DB_URL", "postgresql://somewhere/x")
    with pytest.raises(regrade.CannotRegrade, match="database server"):
        regrade.regrade(work, TOPIC, root=root)


def test_an_answer_from_before_a_rename_is_known_by_both_names(before, tmp_path):
    root = before[0]
    release = nbformat.read(root / "notebooks" / TOPIC / f"{TOPIC}.ipynb", as_version=4)
    marks = {"nbgrader": {"grade_id": "middle"}}
    (tmp_path / "x.ipynb").write_text(
        nbformat.writes(nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(right("middle"), metadata=marks)]))
    )
    notebook, _ = graft.graft(release, tmp_path / "x.ipynb", renamed=RENAMES)
    space = {}
    exec(next(cell.source for cell in notebook.cells if cell.id == "centre"), space)
    assert space["centre"](3) == 1.5
