"""Whatever arrives is graded or gets a recorded zero with a reason: one class of it all, through one nbgrader run."""

import io
import json
import os
import re
import shutil
import sys
import tarfile
import tempfile
import zipfile
from datetime import datetime, timedelta
from pathlib import Path
from types import SimpleNamespace

import nbformat
import pytest
import warm
from nbgrader.api import Gradebook
from small_course import NAMES, TOPIC, floored, make_course, right

from autograder import __main__
from autograder.grading import course
from autograder.intake import collect, folders, graft, outputs, reading, received, unpack

pytestmark = pytest.mark.filterwarnings("ignore:Non-unique cell id")
FULL, VISIBLE = 6, 2  # two exercises; floored answers pass the visible checks only
FILE = f"{TOPIC}.ipynb"
RIGHT = {name: right(name) for name in NAMES}
FLOORED = {name: floored(name) for name in NAMES}
WHOLE_DISK = 10 << 30
DUE = datetime(2021, 1, 1)


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    """The small course, with the late policy that the guide shows."""
    root = make_course(tmp_path_factory.mktemp("course"))
    guide = (course.ROOT / "book" / "instructors.md").read_text(encoding="utf-8")
    [policy] = [
        code for code in re.findall(r"^```python\n(.*?)^```", guide, re.M | re.S) if "LateSubmissionPlugin" in code
    ]
    with open(root / "autograder" / "nbgrader_config.py", "a") as file:
        file.write(policy)
    return root


def notebook(root, answers=RIGHT):
    return course.submission(TOPIC, answers, root)


def text(root, answers=RIGHT):
    return nbformat.writes(notebook(root, answers))


def write(folder, content, name=FILE):
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content if isinstance(content, bytes) else content.encode())


def sparse(path):
    path.parent.mkdir(parents=True, exist_ok=True)
    with open(path, "wb") as file:
        file.truncate(WHOLE_DISK)


# Each case puts something into the student's folder, or changes the right notebook. Then: points, words of the reason.


def old_format(nb):
    cells = [
        {"cell_type": c.cell_type, "input" if c.cell_type == "code" else "source": c.source, "metadata": c.metadata}
        for c in nb.cells
    ]
    return json.dumps({"nbformat": 3, "worksheets": [{"cells": cells}]})


def next_format(nb):
    nb.nbformat, nb.nbformat_minor = 5, 0
    return json.dumps(nb | {"sections": [{"kind": "what nobody knows yet"}]})


def copied_cells(nb):
    nb.cells += nb.cells
    return nbformat.writes(nb)


def deleted_tests(nb):
    nb.cells = [cell for cell in nb.cells if not cell.id.startswith(("test_", "hidden_"))]
    return nbformat.writes(nb)


def deleted_solution(nb):
    nb.cells = [cell for cell in nb.cells if cell.id != NAMES[0]]
    return nbformat.writes(nb)


def moved(nb):
    nb.cells.reverse()
    return nbformat.writes(nb)


def edited_tests(nb):
    for cell in nb.cells:
        if cell.id.startswith(("test_", "hidden_")):
            cell.source = "pass"
        elif cell.id in NAMES:
            cell.source = floored(cell.id)
    return nbformat.writes(nb)


def edited_marks(nb):
    for cell in nb.cells:
        cell.metadata["tags"] = ["skip-execution", "raises-exception"]
        if cell.id in NAMES:
            cell.source = floored(cell.id)
        if "nbgrader" in cell.metadata:
            cell.metadata.nbgrader.update(schema_version=99, points=1000, grade=True, solution=True, locked=False)
    return json.dumps(nb)


def no_marks(nb):
    for number, cell in enumerate(nb.cells):
        cell.metadata, cell.id = {}, f"new-{number}"
    return nbformat.writes(nb)


def saved_outputs(nb):
    out = nbformat.v4.new_output("stream", name="stdout", text="x" * 5_000_000)
    next(cell for cell in nb.cells if cell.id == NAMES[0]).outputs = [out]
    return nbformat.writes(nb)


def huge_outputs(nb):
    """Over the limit of what is read, with outputs that look like cells."""
    text = '"]}, {"outputs": [\\"' * 10 + "x" * reading.MAX_FILE_BYTES
    outputs = [nbformat.v4.new_output("stream", name="stdout", text=text) for _ in range(2)]
    next(cell for cell in nb.cells if cell.id == NAMES[0]).outputs = outputs
    return nbformat.writes(nb)


def with_code(code):
    def change(nb):
        for cell in nb.cells:
            if cell.id == NAMES[0]:
                cell.source = code + cell.source
        return nbformat.writes(nb)

    return change


def many_cells(nb):
    nb.cells += [nbformat.v4.new_markdown_cell("words")] * graft.MAX_CELLS
    return nbformat.writes(nb)


def twice_the_key(nb):
    return '{"cells": [], "cells": ' + json.dumps(nb.cells) + "}"


CHANGED = {
    "right": (lambda nb: nbformat.writes(nb), FULL, ""),
    "nbformat3": (old_format, FULL, ""),
    "nbformat5": (next_format, FULL, ""),
    "byte-order-mark": (lambda nb: b"\xef\xbb\xbf" + nbformat.writes(nb).encode(), FULL, ""),
    "utf16": (lambda nb: nbformat.writes(nb).encode("utf-16"), FULL, ""),
    "copied-cells": (copied_cells, FULL, ""),
    "deleted-tests": (deleted_tests, FULL, ""),
    "deleted-solution": (deleted_solution, FULL / 2, f"missing and are graded as empty: {NAMES[0]}"),
    "moved": (moved, FULL, ""),
    "edited-tests": (edited_tests, VISIBLE, ""),
    "edited-marks": (edited_marks, VISIBLE, ""),
    "no-marks": (no_marks, FULL, f"the cell that defines {NAMES[0]} is taken"),
    "saved-outputs": (saved_outputs, FULL, ""),
    "huge-outputs": (huge_outputs, FULL, ""),
    "flood": (with_code("print('x' * 3_000_000)\n"), FULL, ""),
    "warns": (with_code("import sys, warnings\nwarnings.warn('old')\nprint('!', file=sys.stderr)\n"), FULL, ""),
    "many-cells": (many_cells, FULL, "Only the first 1000"),
    "nul-and-surrogates": (with_code("# \x00 \ud800\n"), FULL, ""),
    "key-twice": (twice_the_key, FULL, ""),
    "other-notebook": (lambda nb: json.dumps({"cells": [{"source": "x = 1"}]}), 0, "right notebook"),
    "not-json": (lambda nb: "this was a notebook once", 0, "it is not JSON"),
    "truncated": (lambda nb: nbformat.writes(nb)[:-200], 0, "it is not JSON"),
    "empty": (lambda nb: "", 0, "the file is empty"),
    "deep": (lambda nb: "[" * 100_000, 0, "nested too deeply"),
}  # fmt: skip


def a_link(folder, root):
    folder.mkdir(parents=True)
    (folder / FILE).symlink_to(root / "solutions" / TOPIC / FILE)


def a_linked_folder(folder, root):
    folder.parent.mkdir(parents=True)
    folder.symlink_to(root / "solutions" / TOPIC)


def a_file_for_a_folder(folder, root):
    folder.parent.mkdir(parents=True)
    folder.write_text("x")


def a_pipe(folder, root):
    write(folder, text(root))
    os.mkfifo(folder / "pipe")


def a_module(folder, root):
    write(folder, text(root))
    write(folder, "raise SystemExit", "math.py")
    write(folder, "import os", "sub/evil.pth")


def a_hard_link(folder, root):
    write(folder, text(root))
    os.link(folder / FILE, folder.parent.parent.parent / "also here")
    write(folder, "1", "data.csv")
    os.link(folder / "data.csv", folder.parent.parent.parent / "somebody's data")


def two(folder, root):
    write(folder, text(root))
    write(folder, text(root, FLOORED), f"{TOPIC} (1).ipynb")


def hidden_files(folder, root):
    write(folder, "x", "._" + FILE)
    write(folder, "x", ".ipynb_checkpoints/" + FILE)
    write(folder, text(root), f"{TOPIC}-1.ipynb")


def big_data(folder, root):
    write(folder, text(root))
    sparse(folder / "disk.img")


def a_hundred_thousand_files(folder, root):
    write(folder, text(root))
    for number in range(folders.MAX_DATA_FILES + 5):
        write(folder, "x", f"data/{number:04d}.txt")


def stamped(when):
    def place(folder, root):
        write(folder, text(root))
        write(folder, when, "timestamp.txt")

    return place


PLACED = {
    "link": (a_link, 0, "a link"),
    "linked-folder": (a_linked_folder, 0, "the folder was a link"),
    "file-for-a-folder": (a_file_for_a_folder, 0, "the folder was a link or a file"),
    "folder-for-a-file": (lambda folder, root: write(folder, "x", f"{FILE}/x"), 0, "a folder named like a notebook"),
    "pipe": (a_pipe, FULL, "pipe was set aside: a special file"),
    "module": (a_module, FULL, "math.py was set aside"),
    "hard-link": (a_hard_link, FULL, "whose work is it?"),
    "renamed": (lambda folder, root: write(folder, text(root), f"{TOPIC} (1).ipynb"), FULL, "is taken for"),
    "as-text": (lambda folder, root: write(folder, text(root), f"{FILE}.txt"), FULL, "is taken for"),
    "other-case": (lambda folder, root: write(folder, text(root), FILE.upper()), FULL, "is taken for"),
    "in-a-folder": (lambda folder, root: write(folder, text(root), f"my work/{FILE}"), FULL, "is taken for"),
    "two": (two, FULL, f"there was also {TOPIC} (1).ipynb"),
    "hidden-files": (hidden_files, FULL, f"{TOPIC}-1.ipynb is taken for"),
    "sparse": (lambda folder, root: sparse(folder / FILE), 0, "too big, 10737418240 bytes"),
    "sparse-data": (big_data, FULL, "disk.img was set aside: too big"),
    "many-files": (a_hundred_thousand_files, FULL, "too many or too big files"),
    "report-only": (lambda folder, root: write(folder, "%PDF", "work.pdf"), 0, "handed in, but work.pdf"),
    "forged-time": (stamped("2020-01-01 00:00:00 UTC"), FULL, "own word and is not used"),
    "no-time": (stamped("yesterday-ish"), FULL, "own word and is not used"),
    "o'neil, ümläut {0} %s \\": (lambda folder, root: write(folder, text(root)), FULL, ""),
    "a[1]*\n": (lambda folder, root: write(folder, text(root)), FULL, ""),
    "n" * 200: (lambda folder, root: write(folder, text(root)), FULL, ""),
    "bytes-\udcff": (lambda folder, root: write(folder, text(root)), FULL, ""),
    "turned\u202eround": (lambda folder, root: write(folder, text(root)), FULL, ""),
    "page": (lambda folder, root: (write(folder, text(root)), write(folder, "<script>", "feedback.html")), FULL, "set"),
    "case": (lambda folder, root: write(folder.with_name(TOPIC.upper()), text(root)), FULL, ""),
}  # fmt: skip
ID_IN_GRADEBOOK = {
    "a[1]*\n": "a_1___",
    "n" * 200: "n" * 128,
    "bytes-\udcff": "bytes-_",
    "turned\u202eround": "turned_round",
}
CASES = {name: case[1:] for name, case in (CHANGED | PLACED).items()}


@pytest.fixture(scope="module")
def work(root, tmp_path_factory):
    """The class, graded by one plain `nbgrader autograde` and `generate_feedback`."""
    folder = tmp_path_factory.mktemp("class")
    for student, (change, *_) in CHANGED.items():
        content = change(notebook(root))
        write(folder / "submitted" / student / TOPIC, content if isinstance(content, bytes) else content.encode("utf-8", "surrogatepass"))  # noqa: E501  # fmt: skip
    for student, (place, *_) in PLACED.items():
        place(folder / "submitted" / student / TOPIC, root)
    write(folder / "submitted" / ".hidden" / TOPIC, "not a student")
    received.record(folder / "received" / TOPIC, "moved", DUE + timedelta(hours=1), "you")
    received.record(folder / "received" / TOPIC, "copied-cells", DUE - timedelta(hours=1), "you")
    write(folder / "submitted" / "moved" / TOPIC, "2020-01-01 00:00:00 UTC", "timestamp.txt")
    grade(folder, root)
    return folder


def grade(work, root):
    os.environ.setdefault("COURSE_JAIL", "trusted")  # nothing here is hostile, and some machines have no jail
    course.nbgrader("generate_assignment", TOPIC, "--force", work=work, root=root)
    course.nbgrader("db", "assignment", "add", TOPIC, f"--duedate={DUE} UTC", work=work, root=root)
    course.nbgrader("autograde", TOPIC, work=work, root=root)
    course.nbgrader("generate_feedback", TOPIC, work=work, root=root)


@pytest.fixture(scope="module")
def grades(work):
    return course.grades(work, TOPIC)


@pytest.mark.parametrize("student", CASES)
def test_graded_or_zero_with_a_reason(student, work, grades):
    points, reason = CASES[student]
    student = ID_IN_GRADEBOOK.get(student, student)
    assert student in grades, f"no grade: {sorted(grades)}"
    assert sum(grades[student].values()) == points, grades[student]
    first = nbformat.read(work / "autograded" / student / TOPIC / FILE, as_version=4).cells[0].source
    page = (work / "feedback" / student / TOPIC / f"{TOPIC}.html").read_text()
    if reason:
        assert reason in first, "the instructor does not see the reason"
        assert reason.replace("'", "&#39;") in page, "the student does not see the reason"
    else:
        assert graft.NOTES_HEADING not in first


def test_nobody_else_is_in_the_gradebook_and_nothing_is_deleted(work, grades):
    assert set(grades) == {ID_IN_GRADEBOOK.get(student, student) for student in CASES}
    kept = work / "quarantine"
    assert [path for path in (kept / "module" / TOPIC).iterdir() if path.name.endswith("math.py")]
    assert (kept / "forged-time" / TOPIC / "timestamp.txt").read_text() == "2020-01-01 00:00:00 UTC"
    assert stat_of(kept / "pipe" / TOPIC, "pipe").is_fifo()
    assert stat_of(kept / "hard-link" / TOPIC, "data.csv").is_file()


def stat_of(folder, end):
    return next(path for path in folder.iterdir() if path.name.endswith(end))


def test_only_a_recorded_time_counts_and_lateness_costs_what_the_guide_says(work):
    with Gradebook(course.database(work)) as gradebook:
        found = {entry.student.id: entry for entry in gradebook.assignment_submissions(TOPIC)}
        times = {name: (entry.timestamp, entry.total_seconds_late) for name, entry in found.items()}
        penalty = {name: entry.notebooks[0].late_submission_penalty for name, entry in found.items()}
    assert times["forged-time"] == (None, 0) and times["no-time"] == (None, 0)
    assert times["moved"] == (DUE + timedelta(hours=1), 3600), "the time in the submission was believed"
    assert penalty["moved"] == pytest.approx(0.1 * FULL), "a tenth for the day that has begun"
    assert times["copied-cells"] == (DUE - timedelta(hours=1), 0) and not penalty["copied-cells"]
    assert {name for name, cost in penalty.items() if cost} == {"moved"}


def test_a_second_grading_keeps_the_notes(work, root):
    course.nbgrader("autograde", TOPIC, "--force", "--student", "module", work=work, root=root)
    first = nbformat.read(work / "autograded" / "module" / TOPIC / FILE, as_version=4).cells[0].source
    assert "math.py was set aside" in first
    assert sum(course.grades(work, TOPIC)["module"].values()) == FULL


def test_an_assignment_that_does_not_exist_is_refused_in_words(root, tmp_path):
    with pytest.raises(course.CommandFailed, match="No notebooks were matched"):
        course.nbgrader("autograde", "99_none", work=tmp_path, root=root)


def test_files_that_may_not_be_read_are_set_aside(root):
    """As an ordinary user, since root reads everything."""
    if os.geteuid():
        ids = os.geteuid(), os.getegid()
    else:
        ids = 65534, 65534
    folder = Path(tempfile.mkdtemp())
    try:
        student = folder / "submitted" / "eve" / TOPIC
        write(student, text(root))
        write(student, "x", "locked/x")
        write(student, "x", "data.csv")
        for path in (folder, *folder.rglob("*")):
            os.chown(path, *ids)
        for name in (FILE, "data.csv", "locked"):
            (student / name).chmod(0)
        code = (
            "import os, sys; from pathlib import Path; from autograder.intake import folders, reading\n"
            f"os.setresgid(*[{ids[1]}] * 3); os.setresuid(*[{ids[0]}] * 3)\n"
            f"print(folders.make_safe(Path({str(student)!r}), {{{FILE!r}}}, Path({str(folder / 'q')!r})))\n"
            f"print(reading.read_cells(Path({str(student / FILE)!r})))\n"
            f"os.chmod({str(student)!r}, 0)\n"
            f"c = type('C', (), dict(root={str(folder)!r}, submitted_directory='submitted'))\n"
            f"print(folders.take_in(c, Path({str(student)!r}), {{{FILE!r}}}))\n"
            f"print(reading.read_cells(Path({str(student / FILE)!r})))\n"
        )
        environment = {**os.environ, "PYTHONPATH": str(course.ROOT)}
        done = warm.run([sys.executable, "-c", code], course.ROOT, environment, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr[-2000:]
        safe, cells, _, later = done.stdout.splitlines()
        assert safe.count("may not be read") == 3 and "may not be read" in cells
        assert "the submission's folder cannot be read" in later
    finally:
        for path in folder.rglob("*"):
            path.chmod(0o700)
        shutil.rmtree(folder)


# Collecting.


class Log:
    def __init__(self):
        self.lines = []

    def error(self, text, *values):
        self.lines.append(text % values)

    warning = info = error


def test_a_bad_archive_costs_only_its_own_student(root, tmp_path):
    archive, out = tmp_path / "archive", tmp_path / "extracted"
    archive.mkdir()
    (tmp_path / "inner.zip").write_bytes(b"PK no zip")
    with zipfile.ZipFile(archive / "all.zip", "w") as file:
        file.writestr(f"a_1_assignsubmission_file_/{FILE}", text(root))
        file.write(tmp_path / "inner.zip", "b_2_assignsubmission_file_/work.zip")
        file.writestr("c_3_assignsubmission_file_/work.pdf", "%PDF")
        file.writestr(f"d_4_assignsubmission_file_/__MACOSX/._{FILE}", "x")
        file.writestr(f"../../d_4_assignsubmission_file_\\{FILE}", text(root))
        file.writestr(f"e_5_assignsubmission_file_/{FILE}", text(root))
    broken = (archive / "all.zip").read_bytes().replace(b'"nbformat": 4', b'"nbformat": 5', 1)
    (archive / "all.zip").write_bytes(broken)  # a check sum that is wrong: the first entry's
    with tarfile.open(archive / "fay.tar.gz", "w:gz") as file:
        (tmp_path / "x.ipynb").write_text(text(root))
        file.add(tmp_path / "x.ipynb", "bob/x.ipynb")
    (archive / "gus.zip").write_bytes((archive / "all.zip").read_bytes()[:3000])
    log = Log()
    collect.CourseExtractor.extract(SimpleNamespace(log=log), str(archive), str(out))
    app = SimpleNamespace(
        coursedir=SimpleNamespace(
            assignment_id=TOPIC, db_url="sqlite:///none", root=str(tmp_path), submitted_directory="submitted"
        )
    )
    collector = collect.CourseCollector()
    collector.parent = None
    object.__setattr__(collector, "_trait_values", collector._trait_values | {"parent": app})
    got = {}
    for path in sorted(out.rglob("*.ipynb")):
        info = collector.collect(str(path))
        if info:
            got[info["student_id"]] = reading.read_cells(path)[1]
    assert got["2"].startswith("work.zip cannot be unpacked") and got["3"] == "work.pdf is not a notebook"
    assert got["4"] == "" and got["5"] == "" and "cannot be unpacked" in got["1"] and "cannot be unpacked" in got["gus"]
    assert not [path for path in tmp_path.parent.rglob("d_4*") if out not in path.parents]


def packed(content, name, depth=1):
    """A zip in a zip, `depth` times."""
    for _ in range(depth):
        out = io.BytesIO()
        with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as file:
            file.writestr(name, content)
        content, name = out.getvalue(), "inner.zip"
    return content


def test_an_archive_that_explodes_is_zero_for_its_student_only(tmp_path, monkeypatch):
    monkeypatch.setattr(unpack, "MAX_ENTRY_BYTES", 100_000)
    monkeypatch.setattr(unpack, "MAX_TOTAL_BYTES", 250_000)
    archive, out = tmp_path / "archive", tmp_path / "out"
    archive.mkdir()
    with zipfile.ZipFile(archive / "all.zip", "w") as file:
        file.writestr("a_1_assignsubmission_file_/x.zip", packed(b"0" * 10_000_000, FILE))
        file.writestr(f"b_2_assignsubmission_file_/{FILE}", "{}")
        file.writestr("c_3_assignsubmission_file_/x.zip", packed(b"{}", FILE, depth=3))
        file.writestr("d_4_assignsubmission_file_/x.zip", packed(b"{}", FILE, depth=2))
        for number in range(5, 9):
            file.writestr(f"e_{number}_assignsubmission_file_/x.zip", packed(b"1" * 80_000, FILE))
    with tarfile.open(archive / "gus.tar.gz", "w:gz") as file:
        info = tarfile.TarInfo("movie.mp4")
        info.size = 10_000_000
        file.addfile(info, io.BytesIO(bytes(info.size)))
    collect.CourseExtractor.extract(SimpleNamespace(log=Log()), str(archive), str(out))
    found = {path.relative_to(out).parts[0 if "gus" in str(path) else 1]: path for path in out.rglob("*.ipynb")}
    why = {name.partition("_assign")[0]: reading.read_cells(path)[1] for name, path in found.items()}
    assert "unpacks to too much" in why["a_1"] and "too deep" in why["c_3"] and "unpacks to too much" in why["gus"]
    assert found["b_2_assignsubmission_file_"].read_text() == found["d_4_assignsubmission_file_"].read_text() == "{}"
    assert "unpacks to too much" in why["e_8"] and "unpacks" not in why["e_5"], "all of it fills the disk"


@pytest.mark.parametrize("kind", ["zip", "tar"])
def test_an_archive_of_very_many_files_is_refused_in_one_line(tmp_path, monkeypatch, kind):
    monkeypatch.setattr(unpack, "MAX_FILES", (20, 5))
    archive, out, log = tmp_path / "archive", tmp_path / "out", Log()
    for number in range(21):
        write(tmp_path / "many" / f"s{number}", "x", "x.txt")
    archive.mkdir()
    shutil.make_archive(archive / "many", kind, tmp_path / "many")
    with zipfile.ZipFile(archive / "class.zip", "w") as file:
        file.write(archive / f"many.{kind}", f"a_1_assignsubmission_file_/x.{kind}")
        file.writestr(f"b_2_assignsubmission_file_/{FILE}", "{}")
    collect.CourseExtractor.extract(SimpleNamespace(log=log), str(archive), str(out))
    assert len(log.lines) == 2 and "more than 20 files" in log.lines[1] and "more than 5 files" in log.lines[0]
    found = {str(path.relative_to(out)): reading.read_cells(path)[1] for path in out.rglob("*.ipynb")}
    assert len(found) == 3 and "more than 20 files" in found[f"many/many.{kind}.ipynb"]
    assert found[f"class/b_2_assignsubmission_file_/{FILE}"] == "it holds no cells"


@pytest.mark.parametrize("version", [3, 4])
def test_outputs_are_taken_out_without_being_read(tmp_path, version):
    odd = 'a "quoted" \\ text with [brackets} and "outputs": [1]'
    cells = [
        {"cell_type": "code", "source": odd, "metadata": {"outputs": "x"}, "outputs": [{"text": [odd], "data": {}}]}
    ]
    cells += [{"source": "outputs", "outputs": []}, {"outputs": odd}]
    whole = {"cells": cells} if version == 4 else {"worksheets": [{"cells": cells}]}
    path = tmp_path / "x.ipynb"
    path.write_text(json.dumps(whole))
    for cell in cells[:2]:
        cell["outputs"] = []
    assert json.loads(outputs.without_outputs(path, 10_000)) == whole
    assert outputs.without_outputs(path, 100) is None
    for bad in ('{"cells": [{"outputs": [', '"' + '\\"' * 2_000_000, "[" * 1_000_000 + '"'):
        path.write_text(bad)
        assert outputs.without_outputs(path, 100) is None


def test_a_record_of_the_time_outlives_the_loss_of_outputs(one, tmp_path):
    config, folder = one
    content = json.dumps({"cells": [{"source": "x", "outputs": [{"text": "x" * reading.MAX_FILE_BYTES}]}]})
    write(folder, content)
    stamp = datetime(2026, 11, 20, 10)
    received.record(tmp_path / "received" / TOPIC, "ada", stamp, "zip_collect", notebook=folder / FILE)
    assert folders.take_in(config, folder, {FILE}) == []
    assert (folder / FILE).stat().st_size < 100
    assert received.read(config, folder)["timestamp"] == "2026-11-20 10:00:00"


def test_a_name_inside_a_students_archive_is_not_believed():
    inner = f"04_x_ada_attempt_2026-11-21-10-00-00_my/x_bob_attempt_2020-01-01-00-00-00_{FILE}"
    info = collect.who(f"all/{inner}", TOPIC)
    assert (info["student_id"], info["timestamp"]) == ("ada", "2026-11-21 10:00:00")
    assert collect.who(f"ida/bob_{FILE}", TOPIC, ["ida", "bob"])["student_id"] == "ida"
    assert collect.who(f"j_doe_{FILE}", TOPIC, ["j_doe"])["student_id"] == "j_doe"
    assert collect.who("lovelaceada_LATE_4711_815_x.ipynb", TOPIC)["late"]


def test_the_exchange_believes_files_not_names(root, tmp_path, monkeypatch):
    """`nbgrader submit` and `collect` for real: an honest one, a forged time with a pipe, a link, an odd folder."""
    exchange, work, home = tmp_path / "exchange", tmp_path / "class", tmp_path / "home"
    exchange.mkdir(mode=0o777)
    exchange.chmod(0o777)
    monkeypatch.setenv("JUPYTER_DATA_DIR", str(tmp_path / "cache"))
    option = f"--Exchange.root={exchange}"
    course.nbgrader("release_assignment", TOPIC, option, work=work_of(root, work), root=root)
    inbound = exchange / "llm-inference" / "inbound"
    write(home / TOPIC, text(root))
    course.nbgrader(
        "submit", TOPIC, option, "--student", "ada", "--course", "llm-inference", work=work, root=root, folder=home
    )
    forged = inbound / f"eve+{TOPIC}+2020-01-01 00:00:00 UTC+x"
    write(forged, text(root))
    write(forged, "2020-01-01 00:00:00 UTC", "timestamp.txt")
    os.mkfifo(forged / "pipe")
    linked = inbound / f"lyn+{TOPIC}+2020-01-01 00:00:00 UTC+x"
    linked.mkdir()
    (linked / FILE).symlink_to(root / "solutions" / TOPIC / FILE)
    (inbound / f"odd+{TOPIC}+never+x").mkdir()
    course.nbgrader("collect", TOPIC, option, work=work, root=root)
    assert sorted(path.name for path in (work / "submitted").iterdir()) == ["ada", "eve", "lyn"]
    assert (work / "submitted" / "lyn" / TOPIC / FILE).is_symlink(), "a student's link was followed"
    config = SimpleNamespace(root=str(work), submitted_directory="submitted")
    for student, forged in (("ada", False), ("eve", True)):
        folder = work / "submitted" / student / TOPIC
        notes = folders.take_in(config, folder, {FILE})
        stamp = datetime.fromisoformat((folder / "timestamp.txt").read_text())
        assert abs(received.now() - stamp) < timedelta(minutes=10)
        assert any("2020-01-01" in note for note in notes) is forged


def work_of(root, work):
    """A class whose release is that of the course."""
    shutil.copytree(root / "notebooks", work / "notebooks")
    return work


# Times.


@pytest.fixture
def one(tmp_path):
    folder = tmp_path / "submitted" / "ada" / TOPIC
    write(folder, "{}")
    return SimpleNamespace(root=str(tmp_path), submitted_directory="submitted"), folder


def test_a_record_holds_for_the_file_that_was_collected(one, tmp_path):
    config, folder = one
    stamp = datetime(2026, 11, 20, 10)
    received.record(tmp_path / "received" / TOPIC, "ada", stamp, "zip_collect", notebook=folder / FILE)
    write(folder, "2020-01-01", "timestamp.txt")
    assert received.write_time(config, folder) == []
    assert (folder / "timestamp.txt").read_text() == "2026-11-20 10:00:00"
    write(folder, "{ }")  # another file, put there later
    assert received.write_time(config, folder) == [received.NOT_USED]
    assert not (folder / "timestamp.txt").exists()


def test_the_future_is_refused(one, tmp_path):
    config, folder = one
    received.record(tmp_path / "received" / TOPIC, "ada", received.now() + timedelta(days=3), "you")
    assert received.write_time(config, folder) == [received.FUTURE]
    assert not (folder / "timestamp.txt").exists()


def test_command_records_times(one, tmp_path, capsys):
    config, folder = one
    (tmp_path / "times.csv").write_text("id,timestamp\nada,2026-11-20 11:00 +0100\n")
    assert __main__.main(["received", TOPIC, str(tmp_path / "times.csv"), "--work", str(tmp_path)]) == 0
    received.write_time(config, folder)
    assert (folder / "timestamp.txt").read_text() == "2026-11-20 10:00:00"
    (tmp_path / "times.csv").write_text("id,timestamp\nada,2026-11-19\nben,soon\n")
    assert __main__.main(["received", TOPIC, str(tmp_path / "times.csv"), "--work", str(tmp_path)]) == 1
    assert re.search("columns id and timestamp", capsys.readouterr().err)
    assert received.read(config, folder)["timestamp"] == "2026-11-20 10:00:00", "half of a bad file was recorded"
