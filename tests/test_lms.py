"""Exports for Canvas and Moodle, on a small class in a gradebook filled through nbgrader's API."""

import csv
from datetime import datetime

import pytest
from nbgrader.api import Gradebook
from sqlalchemy import text as sql

from autograder import __main__
from autograder.grading import spreadsheet
from autograder.intake import received
from autograder.results import lms
from autograder.results.grades_csv import CourseExport

TOPIC = "03_kv_cache"
ROSTERS = {
    "canvas": (
        "Student,ID,SIS User ID,SIS Login ID,Section,Other (7),03_kv_cache: the cache (4242),Final Score\n"
        "    Points Possible,,,,,10,8,(read only)\n"
        '"Lovelace, Ada",11,A-1,ada,L1,3,,90\n'
        '"=HYPERLINK(""http://evil"",""x"")",12,b-2,ben@example.org,L1,4,,\n'
        "Çelik Gül,4711,,gul,L2,5,,\n"
        "Late Comer,14,,late,L2,5,,\n"
        "Never There,15,,nev,L2,5,,\n"
    ),
    "moodle": (
        "Identifier,Full name,ID number,Email address,Status,Grade,Maximum Grade,"
        "Last modified (grade),Feedback comments\n"
        'Participant 501,"Lovelace, Ada",A-1,ada@example.org,Submitted,,8.00,-,\n'
        'Participant 502,"@SUM(1+1)*cmd|""/C calc""!A0",,BEN@example.org,Submitted,,8.00,-,\n'
        "Participant 4711,Çelik Gül,,gul@example.org,Submitted,,8.00,-,\n"
        "Participant 504,Late Comer,late,,Submitted,,8.00,-,\n"
        "Participant 505,Never There,nev,,No submission,,8.00,-,keep\n"
    ),
}
CLASS = {  # id: points by machine, waits, when
    "a-1": (6.0, False, datetime(2026, 12, 1)),
    "ben": (4.5, False, None),
    "4711": (3.0, True, None),
    "late": (5.0, False, datetime(2026, 12, 5, 1, 30)),
}


@pytest.fixture(scope="module")
def work(tmp_path_factory):
    folder = tmp_path_factory.mktemp("class")
    with Gradebook(f"sqlite:///{folder / 'gradebook.db'}", "x") as gradebook:
        gradebook.db.execute(sql("PRAGMA synchronous = OFF"))
        gradebook.add_assignment(TOPIC, duedate=datetime(2026, 12, 5))
        gradebook.add_notebook(TOPIC, TOPIC)
        gradebook.add_grade_cell("test_f", TOPIC, TOPIC, max_score=6, cell_type="code")
        gradebook.add_grade_cell("answer_why", TOPIC, TOPIC, max_score=2, cell_type="markdown")
        for student, (points, waits, when) in CLASS.items():
            email = "ben@example.org" if student == "ben" else None
            gradebook.add_student(student, email=email, last_name="=1+1" if student == "late" else None)
            entry = gradebook.add_submission(TOPIC, student, timestamp=when)
            test, why = (gradebook.find_grade(name, TOPIC, TOPIC, student) for name in ("test_f", "answer_why"))
            test.auto_score, test.needs_manual_grade = points, False
            why.auto_score, why.needs_manual_grade = None if waits else 0, waits
            entry.notebooks[0].late_submission_penalty = 1.25 if student == "late" else None
            gradebook.db.commit()
    received.record(folder / "received" / TOPIC, "ben", None, "zip_collect", late=True)
    return folder


@pytest.fixture(autouse=True)
def own_database(monkeypatch):
    monkeypatch.delenv("NBGRADER_DB_URL", raising=False)


@pytest.fixture
def export(work, tmp_path, capsys):
    """Runs the command on a roster; returns (exit code, rows as dicts, status by student, what it printed)."""

    def run(kind, *options, roster=None):
        path = tmp_path / "roster.csv"
        path.write_text(roster or ROSTERS[kind], encoding="utf-8-sig")
        given = ["lms", TOPIC, "--format", kind, "--roster", str(path), "--work", str(work), "--out", str(tmp_path)]
        code = __main__.main([*given, *options])
        said = capsys.readouterr()
        rows, status = [], {}
        if (tmp_path / f"{TOPIC}_{kind}.csv").exists():
            text = (tmp_path / f"{TOPIC}_{kind}.csv").read_text(encoding="utf-8")
            separator = ";" if text.count(";") > text.count(",") else ","
            rows = list(csv.DictReader(text.splitlines(), delimiter=separator))
            lines = (tmp_path / f"{TOPIC}_{kind}_status.csv").read_text().splitlines()
            status = {row["student"]: row for row in csv.DictReader(lines, delimiter=separator)}
        return code, rows, status, said.out + said.err

    return run


def test_canvas_gets_its_own_columns_and_nothing_else(export):
    code, rows, status, said = export("canvas")
    assert code == 0
    assert list(rows[0]) == [*lms.CANVAS, "03_kv_cache: the cache (4242)"]
    assert rows[0]["Student"].strip() == "Points Possible" and rows[0]["03_kv_cache: the cache (4242)"] == "8"
    points = {row["ID"]: row["03_kv_cache: the cache (4242)"] for row in rows[1:]}
    assert points == {"11": "6", "12": "4.5", "14": "3.75"}, "a waiting or absent student would be overwritten"
    assert rows[1]["Student"] == "Lovelace, Ada" and rows[2]["Student"].startswith("'=HYPERLINK")
    assert "manual grading pending for 1: left without a score" in said
    assert status["4711"][lms.PENDING] == "1" and status["late"][lms.LATE] == "1.5 h"
    assert status["ben"][lms.LATE] == "marked late by your system" and status["late"]["name"] == "'=1+1"


def test_unfinished_scores_only_on_request(export):
    code, rows, status, said = export("canvas", "--partial")
    assert code == 0 and {row["ID"]: row["03_kv_cache: the cache (4242)"] for row in rows}["4711"] == "3"
    assert "exported with what they have so far" in said and "Çelik Gül" in [row["Student"] for row in rows]


def test_moodle_keeps_its_worksheet_and_gains_two_columns(export):
    code, rows, status, said = export("moodle", "--decimal", ",")
    assert code == 0
    header = ROSTERS["moodle"].split("\n")[0].split(",")
    assert list(rows[0]) == [*header, lms.PENDING, lms.LATE]
    assert [row["Grade"] for row in rows] == ["6", "4,5", "", "3,75", ""]
    assert [row[lms.PENDING] for row in rows] == ["0", "0", "1", "0", ""]
    assert rows[4][lms.LATE] == "nothing handed in" and rows[4]["Feedback comments"] == "keep"
    assert rows[1]["Full name"].startswith("'@SUM") and rows[2]["Full name"] == "Çelik Gül"
    assert rows[0]["Last modified (grade)"] == "-", "a lone dash is Moodle's own"


def test_semicolons_come_back_as_semicolons(export):
    code, rows, _, _ = export("canvas", "--decimal", ",", roster="Student;ID;Section\nA;4711;x\nB;ben;x\n")
    assert code == 1, "two of the class are not in this roster"
    assert [row[TOPIC] for row in rows] == ["8", "4,5"]


def test_who_cannot_be_matched_is_said(export):
    code, _, status, said = export("canvas", roster="Student,ID,Section\nA,a-1,x\n")
    assert code == 1 and "not in the roster: 4711, ben, late" in said and status["ben"]["in the roster"] == "no"
    code, rows, _, said = export("canvas", roster="Student,ID,Section\nA,a-1,x\nB,A-1,x\n")
    assert code == 1 and "two rows" in said and "row 3" in said
    assert "not a Moodle grading worksheet" in export("moodle", roster="Name,Points\nx,1\n")[3]
    assert "2 columns that begin" in export("canvas", roster=f"Student,ID,Section,{TOPIC},{TOPIC} b\nA,1,x,,\n")[3]


def test_without_a_roster_the_documented_columns_are_there(work, tmp_path):
    lms.write(work, TOPIC, "canvas", tmp_path)
    rows = list(csv.DictReader((tmp_path / f"{TOPIC}_canvas.csv").read_text().splitlines()))
    assert list(rows[0]) == [*lms.CANVAS, TOPIC] and {row["SIS Login ID"] for row in rows[1:]} == {"a-1", "ben", "late"}
    lms.write(work, TOPIC, "moodle", tmp_path)
    rows = list(csv.DictReader((tmp_path / f"{TOPIC}_moodle.csv").read_text().splitlines()))
    assert {row["Identifier"] for row in rows} == {f"Participant {student}" for student in CLASS}


def test_nothing_to_export_is_said(work, tmp_path, capsys):
    assert __main__.main(["lms", TOPIC, "--format", "canvas", "--work", str(tmp_path)]) == 1
    assert "run `nbgrader autograde" in capsys.readouterr().err and not (tmp_path / "gradebook.db").exists()
    assert __main__.main(["lms", "99_x", "--format", "canvas", "--work", str(work)]) == 1


@pytest.mark.parametrize("text", ["=cmd|' /C calc'!A0", "@SUM(A1)", "+1+cmd", "-2+3+cmd", " =1", "\t=1", "\r=1"])
def test_formulas_become_text(text):
    assert spreadsheet.harmless(text) == f"'{text}"


@pytest.mark.parametrize("text", ["-3.5", "+4", "-3,5", "ada@example.org", "-", "", "O'Neil", 4.5])
def test_what_is_no_formula_stays(text):
    assert spreadsheet.harmless(text) == str(text)


def test_names_and_ids_that_begin_a_formula_are_text_in_grades_csv(tmp_path):
    names = ["=HYPERLINK(A1)", "+1+cmd", "-2+3+cmd", "@SUM(A1)", "\t=1", "＝1+1"]
    with Gradebook(f"sqlite:///{tmp_path / 'gradebook.db'}", "x") as gradebook:
        gradebook.add_assignment("@a", duedate=datetime(2026, 12, 5))
        for number, name in enumerate(names):
            gradebook.add_student(name, first_name=name, last_name=name, email=f"={number}@example.org")
        CourseExport(to=str(tmp_path / "grades.csv")).export(gradebook)
    with open(tmp_path / "grades.csv", encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert {row["student_id"] for row in rows} == {f"'{name}" for name in names}
    cells = [row[key] for row in rows for key in ("assignment", "student_id", "last_name", "first_name", "email")]
    assert all(cell.startswith("'") for cell in cells), cells
