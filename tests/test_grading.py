"""Grading by the stock nbgrader commands: the demonstration class, odd submissions, feedback, every command."""

import csv
import json
import os
import re
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import nbformat
import pytest
import warm

from autograder.assignment.script import read_script
from autograder.auditor import end_to_end
from autograder.grading import course, demo, execute, running, schema
from autograder.intake import collect, folders, graft, reading
from autograder.results import feedback

pytestmark = pytest.mark.filterwarnings("ignore:Non-unique cell id")  # one of the made submissions has them
TOPIC = "03_kv_cache"
FOLDERS = ("solutions", "notebooks")
SCRIPT = read_script(course.ROOT / "solutions" / TOPIC / f"{TOPIC}.py")
EXERCISES = [cell.name for cell in SCRIPT if cell.kind == "solution"]


def odd_submissions():
    """Right answers in notebooks that were tampered with or went through odd hands; all must keep full marks."""
    reference = course.reference_answers(TOPIC)
    made = {name: course.submission(TOPIC, reference) for name in ("tampered", "doubled", "deleted")}
    for cell in made["tampered"].cells:
        cell.metadata["tags"] = ["skip-execution", "raises-exception"]
        if cell.id.startswith("hidden_"):
            cell.source = "pass"
        if "nbgrader" in cell.metadata:
            cell.metadata.nbgrader.schema_version = 99
    made["tampered"].cells = made["tampered"].cells[:2] + made["tampered"].cells[:1:-1]
    tests = [cell for cell in made["deleted"].cells if cell.id.startswith(("test_", "hidden_"))]
    made["deleted"].cells = [cell for cell in made["deleted"].cells if cell not in tests]
    made["doubled"].cells += tests
    return made


@pytest.fixture(scope="module")
def work(tmp_path_factory):
    """The demonstration class and the odd submissions, through the whole round once."""
    folder = tmp_path_factory.mktemp("class")
    submissions, _ = demo.make_class(TOPIC)
    odd = odd_submissions()
    course.hand_in(folder, "deleted", TOPIC, odd.pop("deleted"), name=f"{TOPIC} (1).ipynb")
    skipper = course.submission(TOPIC, {})  # nothing written, and tests that ask not to be run
    for cell in skipper.cells:
        cell.metadata["tags"] = ["skip-execution"]
    demo.grade_class(TOPIC, submissions | odd | {"skipper": skipper}, folder)
    return folder


@pytest.fixture(scope="module")
def totals(work):
    header, rows = course.class_table(work, TOPIC)
    return {row[0]: dict(zip(header, row, strict=True)) for row in rows}


def auto_points(name=None):
    """The points that machines give, of one exercise or all."""
    tests = [cell for cell in SCRIPT if cell.kind in ("test", "hidden") and name in (None, cell.name)]
    return sum(cell.options["points"] for cell in tests)


@pytest.mark.parametrize("student", ["ada", "ben", "gus", "tampered", "doubled", "deleted"])
def test_right_answers_get_all_points(totals, student):
    assert totals[student]["points"] == auto_points(), f"{student} lost points: {totals[student]}"


@pytest.mark.parametrize("student", ["dan", "hal", "skipper"])
def test_nothing_written_gets_nothing(totals, student):
    assert totals[student]["points"] == 0
    assert totals[student]["to grade by hand"] == 0


def test_half_the_work_gets_the_points_of_that_half(totals):
    half = EXERCISES[: (len(EXERCISES) + 1) // 2]
    assert {name: totals["chi"][name] for name in EXERCISES} == {
        name: auto_points(name) if name in half else 0 for name in EXERCISES
    }


def test_a_well_known_mistake_costs_points_in_every_exercise(totals):
    for name in EXERCISES:
        assert totals["eve"][name] < auto_points(name), f"the mistake in {name} was paid in full"


def test_a_process_that_ends_costs_only_what_comes_after(totals):
    assert totals["fay"][EXERCISES[-1]] == 0
    for name in EXERCISES[:-1]:
        assert totals["fay"][name] == auto_points(name)


def test_written_answers_wait_for_a_person(totals):
    answers = [cell for cell in SCRIPT if cell.kind == "answer"]
    assert totals["ada"]["to grade by hand"] == len(answers)


def test_export_holds_every_student(work, totals):
    with open(work / "grades.csv") as file:
        scores = {row["student_id"]: float(row["score"]) for row in csv.DictReader(file)}
    assert scores == {student: row["points"] for student, row in totals.items()}


def test_unreadable_submission_has_a_recorded_reason(work):
    notebook = nbformat.read(work / "autograded" / "hal" / TOPIC / f"{TOPIC}.ipynb", as_version=4)
    assert "it is not JSON" in notebook.cells[0].source
    page = (work / "feedback" / "hal" / TOPIC / f"{TOPIC}.html").read_text()
    assert "it is not JSON" in page


def test_feedback_teaches_offline_and_hides_hidden_tests(work, totals):
    pages = {path.parent.parent.name: path.read_text() for path in work.glob(f"feedback/*/{TOPIC}/*.html")}
    assert set(pages) == set(totals)
    for student, page in pages.items():
        assert not re.search(r"<(script|link|img|iframe)|url\(|@import", page), f"{student}'s page loads something"
        assert "Traceback" not in page and "\x1b[" not in page
        assert "def hidden_" not in page and "HIDDEN TESTS" not in page
        assert f"{totals[student]['points']:g} of" in page
    for cell in SCRIPT:
        if cell.kind == "hidden":
            lines = [line.strip() for line in cell.source.split("\n") if len(line.strip()) > 40]
            for student, page in pages.items():
                assert not [line for line in lines if line in page], (
                    f"a hidden test of {cell.name} is in {student}'s page"
                )
    assert "Hint 1" in pages["eve"] and "Hint 1" not in pages["ada"]


# The intake alone: what a graft makes of a file, without running anything.


@pytest.fixture(scope="module")
def release():
    return nbformat.read(course.ROOT / "notebooks" / TOPIC / f"{TOPIC}.ipynb", as_version=4)


def grafted(tmp_path, release, content):
    path = tmp_path / "handed_in.ipynb"
    path.write_bytes(content if isinstance(content, bytes) else json.dumps(content).encode())
    return graft.graft(release, path)


UNREADABLE = {
    "empty": (b"", "the file is empty"),
    "not JSON": (b"\xff\xfe PK", "it is not JSON"),
    "a list": ([1, 2], "it is not a notebook"),
    "no cells": ({"nbformat": 4}, "it holds no cells"),
    "deep": (b"[" * 100_000, "nested too deeply"),
}


@pytest.mark.parametrize("content, reason", UNREADABLE.values(), ids=UNREADABLE)
def test_unreadable_files_are_graded_as_empty(tmp_path, release, content, reason):
    notebook, notes = grafted(tmp_path, release, content)
    assert reason in notes[0]
    marked = [cell for cell in notebook.cells if "nbgrader" in cell.metadata]
    assert [cell.source for cell in marked] == [cell.source for cell in release.cells if "nbgrader" in cell.metadata]


@pytest.mark.parametrize("cells", [[None], [5], [{}], [{"cell_type": "code", "source": 5, "metadata": "x", "id": []}]])
def test_nonsense_cells_are_passed_over(tmp_path, release, cells):
    notebook, _ = grafted(tmp_path, release, {"cells": cells})
    nbformat.validate(notebook)


def test_old_and_idless_formats_are_read(tmp_path, release):
    name = EXERCISES[0]
    marks = {"nbgrader": {"grade_id": name}}
    old = {
        "nbformat": 3,
        "worksheets": [{"cells": [{"cell_type": "code", "input": ["a = 1\n", "b"], "metadata": marks}]}],
    }
    notebook, _ = grafted(tmp_path, release, old)
    assert next(cell for cell in notebook.cells if cell.id == name).source == "a = 1\nb"
    renamed = {"cells": [{"cell_type": "markdown", "source": "x = 2", "metadata": {}, "id": name}]}
    notebook, _ = grafted(tmp_path, release, renamed)
    cell = next(cell for cell in notebook.cells if cell.id == name)
    assert (cell.source, cell.cell_type) == ("x = 2", "code")


def test_free_cells_stay_in_place_and_locked_cells_are_ours(tmp_path, release):
    student = nbformat.reads(nbformat.writes(release), as_version=4)
    first = next(index for index, cell in enumerate(student.cells) if cell.id == EXERCISES[0])
    student.cells.insert(first, nbformat.v4.new_code_cell("helper = 1"))
    for cell in student.cells:
        if cell.id == "setup":
            cell.source = "import sys"
    notebook, _ = grafted(tmp_path, release, json.loads(nbformat.writes(student)))
    sources = [cell.source for cell in notebook.cells]
    assert sources.index("helper = 1") < sources.index(student.cells[first + 1].source)
    assert "import sys" not in sources
    assert len([cell for cell in notebook.cells if cell.cell_type == "code"]) == 1 + len(
        [cell for cell in release.cells if cell.cell_type == "code"]
    ), "a free cell of the release is run twice"


MARKS = {"grade": False, "solution": True, "locked": False, "schema_version": 3}


def code(source, **metadata):
    return nbformat.v4.new_code_cell(source, metadata=metadata)


def test_untouched_tryit_cells_are_not_run_unless_something_needs_them():
    tryit = code("result = f(3)\nprint(result)", as_released=True)
    assert execute.idle_cells([code("x = 1"), tryit, code("def f():\n    result = 2\n    return result")]) == {1}
    assert execute.idle_cells([tryit, code("def g():\n    return result")]) == set()
    assert execute.idle_cells([tryit, code("print(result")]) == set()
    assert execute.idle_cells([code("import os", as_released=True), code("def g():\n    os._exit(0)")]) == set()
    assert execute.idle_cells([code("print(1)")]) == set()


def test_tests_of_what_nobody_wrote_are_not_run_unless_it_could_have_a_name():
    starter = code("def half(x):\n    raise NotImplementedError", unwritten=True, nbgrader=MARKS | {"grade_id": "half"})
    tryit = code("print(half(1))", as_released=True)
    given = {"half": ["half", "Halver"]}
    assert running.unwritten([code("x = 1"), starter, tryit], given) == {"half"}
    for text in (
        "def half(x): return x",
        "class Halver: pass",
        "from mine import *",
        "globals()['ha' + 'lf'] = len",
        "exec('def ha' + 'lf(): pass')",
        "  %run mine.py",
        "def ｈａｌｆ(x): return x",  # the same name to Python
        "import sys; sys.modules['__main__'].__setattr__('ha' + 'lf', len)",
    ):
        assert running.unwritten([starter, tryit, code(text)], given) == set(), text
    assert running.unwritten([code("\n" * 10**6), starter], given) == {"half"}, "and it takes no time to see"


def test_a_message_without_end_is_cut():
    error = nbformat.v4.new_output("error", ename="E", evalue="Cell " * 10**6, traceback=["Cell " * 10**6, "the end"])
    [kept] = execute.trim([error])
    assert len(json.dumps(kept)) < 10**5 and kept.traceback[0].endswith("the end")
    assert feedback.line_of(kept, []) == ""


def test_a_doubled_solution_cell_keeps_both_in_order(tmp_path, release):
    name = EXERCISES[0]
    cells = [{"cell_type": "code", "source": text, "metadata": {"nbgrader": {"grade_id": name}}} for text in "ab"]
    notebook, notes = grafted(tmp_path, release, {"cells": cells})
    assert next(cell for cell in notebook.cells if cell.id == name).source == "a\n\nb"
    assert "more than once" in notes[0]


def test_a_folder_is_made_safe(tmp_path):
    folder, names = tmp_path / "submitted" / "zoe" / TOPIC, {f"{TOPIC}.ipynb"}
    folder.mkdir(parents=True)
    (folder / f"{TOPIC}.ipynb").symlink_to("/etc/passwd")
    os.mkfifo(folder / "pipe")
    (folder / "numpy.py").write_text("raise SystemExit")
    (folder / "timestamp.txt").write_text("yesterday-ish")
    (folder / "data.csv").write_text("1")
    notes = folders.make_safe(folder, names, tmp_path / "quarantine")
    assert sorted(path.name for path in folder.iterdir()) == sorted([f"{TOPIC}.ipynb", "data.csv", "timestamp.txt"])
    assert reading.read_cells(folder / f"{TOPIC}.ipynb") == ([], "a link")
    assert len(notes) == len(list((tmp_path / "quarantine").iterdir())) == 3


def test_a_folder_without_a_notebook_gets_an_empty_one(tmp_path):
    (tmp_path / "answer.docx").write_text("words")
    folders.make_safe(tmp_path, {f"{TOPIC}.ipynb"}, tmp_path / "quarantine")
    assert reading.read_cells(tmp_path / f"{TOPIC}.ipynb") == ([], "no notebook was handed in, but answer.docx")


# A fresh clone: every stock command, from the root and from autograder/.


@pytest.fixture(scope="module")
def clone(tmp_path_factory):
    folder = tmp_path_factory.mktemp("clone")
    listed = subprocess.run(
        ["git", "ls-files", "-co", "--exclude-standard"], cwd=course.ROOT, capture_output=True, text=True
    )
    if listed.returncode:
        pytest.skip("not a git checkout")
    for name in listed.stdout.split():
        if name.startswith(("autograder/", "mini_engine/", "nbgrader_config.py", *(f"{f}/{TOPIC}" for f in FOLDERS))):
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(course.ROOT / name, folder / name)
    return folder


def stock(clone, *arguments, folder=""):
    environment = {key: value for key, value in os.environ.items() if key not in ("COURSE_WORK", "NBGRADER_DB_URL")}
    environment |= {"PYTHONPATH": str(course.ROOT), "OMP_NUM_THREADS": "1", "MPLBACKEND": "agg"}
    command = [sys.executable, "-m", "nbgrader", *arguments]
    done = warm.run(command, cwd=clone / folder, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, f"nbgrader {' '.join(arguments)} in ./{folder}:\n{done.stderr[-3000:]}"
    return done.stdout + done.stderr


def test_every_stock_command_works_on_a_fresh_clone(clone):
    archive = clone / "autograder" / "downloaded" / TOPIC / "archive"
    archive.mkdir(parents=True)
    right = nbformat.writes(course.submission(TOPIC, course.reference_answers(TOPIC)))
    (archive / f"ida_{TOPIC}.ipynb").write_text(right)
    with zipfile.ZipFile(archive / "all.zip", "w") as file:
        file.writestr(f"{TOPIC}_jon_attempt_2026-11-20-10-00-00_{TOPIC}.ipynb", right)
        file.writestr("../../../kim/out.ipynb", "not a notebook")
    (archive / "lea.zip").write_bytes(b"PK but not really")
    stock(clone, "zip_collect", TOPIC, folder="autograder")
    assert sorted(path.name for path in (clone / "autograder" / "submitted").iterdir()) == ["ida", "jon", "kim", "lea"]
    # autograde before generate_assignment ever ran
    stock(clone, "autograde", TOPIC, "--student", "ida", folder="autograder")
    stock(clone, "autograde", TOPIC)
    stock(clone, "generate_feedback", TOPIC)
    stock(clone, "export", folder="autograder")
    with open(clone / "autograder" / "grades.csv") as file:
        assert {row["student_id"]: float(row["score"]) for row in csv.DictReader(file)} == {
            "ida": auto_points(),
            "jon": auto_points(),
            "kim": 0,
            "lea": 0,
        }
    released = (clone / "notebooks" / TOPIC / f"{TOPIC}.ipynb").read_bytes()
    stock(clone, "generate_assignment", TOPIC, "--force", folder="autograder")
    assert (clone / "notebooks" / TOPIC / f"{TOPIC}.ipynb").read_bytes() == released
    said = stock(clone, "validate", f"../solutions/{TOPIC}/{TOPIC}.ipynb", folder="autograder")
    assert "Success! Your notebook passes all the tests." in said
    assert not (clone / "submitted").exists() and not (clone / "gradebook.db").exists(), (
        "a step wrote beside autograder/"
    )


def test_a_new_gradebook_has_the_version_that_nbgrader_would_find():
    code = "from nbgrader.api import get_alembic_version; print(get_alembic_version())"
    searched = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    command, environment = [sys.executable, "-c", code], os.environ | {"PATH": searched}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    assert done.stdout.split() == [schema.newest_version()]


def test_nbgrader_scores_what_the_audit_scores():
    differences, compared = end_to_end.compare(TOPIC, count=2)
    assert compared >= len(EXERCISES) and not differences, "\n".join(differences)


NAMES = {
    "03_kv_cache_ada_attempt_2026-11-21-10-00-00_03_kv_cache.ipynb": ("ada", "2026-11-21 10:00:00"),
    "Ada Lovelace_1234567_assignsubmission_file_/03_kv_cache.ipynb": ("1234567", None),
    "lovelaceada_LATE_4711_815_03_kv_cache-1.ipynb": ("4711", None),
    "all/ada_03_kv_cache.ipynb": ("ada", None),
    "all/ada/03_kv_cache (1).ipynb": ("ada", None),
}


@pytest.mark.parametrize("path", NAMES)
def test_names_of_the_common_systems_are_understood(path):
    info = collect.who(path, TOPIC)
    assert (info["student_id"], info.get("timestamp")) == NAMES[path]
    assert info["file_id"] == f"{TOPIC}.ipynb"
    assert collect.who("notes.ipynb", TOPIC) is None


def test_demo_command_prints_and_saves_the_table(work, tmp_path, monkeypatch, capsys):
    from autograder import __main__

    monkeypatch.setattr(demo, "grade_class", lambda name, submissions, folder: shutil.copytree(work, folder))
    assert __main__.main(["demo", TOPIC, "--work", str(tmp_path / "run")]) == 0
    assert "hal: a file that is not JSON" in capsys.readouterr().out
    assert (tmp_path / "run" / "class.csv").read_text().startswith("student,kv_bytes_per_token")
    assert __main__.main(["demo", "99_none"]) == 1
