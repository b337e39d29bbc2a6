"""Grading a class on several processes: the gradebook of the serial command, whoever is killed and whenever."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
import tomllib
from collections import Counter
from datetime import datetime
from pathlib import Path

import nbformat
import pytest
import warm
from nbgrader.api import Base, Gradebook
from sqlalchemy import MetaData, create_engine, select

from autograder import __main__
from autograder.grading import archive, costs, course, demo, grade, grader, ledger, tables, workers
from autograder.intake import graft, received

pytestmark = pytest.mark.filterwarnings("ignore::sqlalchemy.exc.SAWarning")  # nbgrader's own
TOPIC = "03_kv_cache"

# A grader's process that runs no cell: every honest student gets one point per test. It speaks as the real one does.
# What it grades is written to a file, so that a test can count; names decide a student's fate.
FAKE = """
import os, signal, sys, time, uuid
from autograder.grading import grader


class Fake:
    def __init__(self, scratch):
        pass

    def grade(self, task):
        student = task["student"]
        with open(os.environ["FAKE_LOG"], "a") as log:
            log.write(student + "\\n")
        empty = b"course_intake_problem" in task["archive"]
        if student.startswith("bomb") and not empty:
            os.kill(os.getpid(), signal.SIGKILL)
        if student.startswith("fail") and not empty or "BROKEN" in os.environ:
            print("ValueError: nonsense", file=sys.stderr, flush=True)
            return {"student": student, "attempt": task["attempt"], "status": "failed"}
        time.sleep(float(os.environ.get("FAKE_SECONDS", 0.01)))
        rows, score = task["rows"], 0 if empty else 1
        submitted, notebook = (uuid.uuid4().hex for _ in range(2))
        changes = [("student", student, True, {"id": student})]
        if rows["submitted_notebook"]:
            [notebook] = rows["submitted_notebook"]
        else:
            assignment, [source] = [*rows["assignment"]][0], rows["notebook"]
            row = {"id": submitted, "assignment_id": assignment, "student_id": student}
            changes.append(("submitted_assignment", submitted, True, row))
            row = {"id": notebook, "assignment_id": submitted, "notebook_id": source}
            changes.append(("submitted_notebook", notebook, True, row))
        for old in rows["grade"]:
            changes.append(("grade", old, False, {"auto_score": score}))
        for cell in rows["grade_cells"] if not rows["grade"] else ():
            row = {"id": uuid.uuid4().hex, "notebook_id": notebook, "cell_id": cell, "auto_score": score}
            changes.append(("grade", row["id"], True, row | {"needs_manual_grade": False}))
        notes = [task["archive"].decode(errors="replace").partition("problem")[2][:90]] if empty else []
        result = {"student": student, "attempt": task["attempt"], "status": "graded", "changes": changes}
        result |= {"score": score * len(rows["grade_cells"]), "waiting": 0, "notes": notes, "seconds": 0.1}
        return result | {"files": {"page.txt": b"graded"}}


grader.Grader = Fake
if __name__ == "__main__":
    grader.main(*sys.argv[1:])
"""
COMMAND = (
    "import sys; from autograder import __main__; from autograder.grading import workers; "
    "workers.COMMAND = [sys.executable, {fake!r}]; "
)


@pytest.fixture(scope="module")
def registered(tmp_path_factory):
    """A class whose gradebook knows the assignment: copied by each test, so that it is made once."""
    folder = tmp_path_factory.mktemp("registered")
    course.nbgrader("generate_assignment", TOPIC, work=folder)
    return folder


class FakeClass:
    def __init__(self, folder, registered, students):
        shutil.copytree(registered, folder / "class")
        self.work, self.fake, self.log = folder / "class", folder / "fake.py", folder / "graded.txt"
        self.fake.write_text(FAKE)
        self.log.touch()
        for student in students:
            course.hand_in(self.work, student, TOPIC, "this was a notebook once")
        self.environment = {"FAKE_LOG": str(self.log), "COURSE_WORK": str(self.work), "PYTHONPATH": SEARCHED}

    def start(self, *arguments, **environment):
        """The command in a process of its own, to be killed."""
        code = COMMAND.format(fake=str(self.fake)) + f"sys.exit(__main__.main({['grade', TOPIC, *arguments]!r}))"
        environment = os.environ | self.environment | environment
        return subprocess.Popen(
            [sys.executable, "-c", code],
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            # whoever started the tests in the background made Ctrl-C mean nothing
            preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
        )

    def run(self, capsys, *arguments, **environment):
        """The command in this process; (exit code, what it printed)."""
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(workers, "COMMAND", [sys.executable, str(self.fake)])
            for name, value in (self.environment | environment).items():
                patch.setenv(name, value)
            patch.delenv("NBGRADER_DB_URL", raising=False)
            code = __main__.main(["grade", TOPIC, *arguments])
        said = capsys.readouterr()
        return code, said.out + said.err

    def recorded(self):
        """{student: score} in the gradebook, of those whose graded folder is there too."""
        with Gradebook(f"sqlite:///{self.work / 'gradebook.db'}") as gradebook:
            scores = Counter({entry.student.id: entry.score for entry in gradebook.assignment_submissions(TOPIC)})
        folders = {path.parent.name for path in self.work.glob(f"autograded/*/{TOPIC}")}
        return {student: score for student, score in scores.items() if student in folders}

    def wait_for(self, count, process):
        deadline = time.monotonic() + 200
        while len(self.recorded()) < count:
            assert process.poll() is None, f"the run ended before {count} were recorded: {process.communicate()}"
            assert time.monotonic() < deadline
            time.sleep(0.1)


SEARCHED = os.pathsep.join([str(course.ROOT), *filter(None, [os.environ.get("PYTHONPATH")])])
CELLS = len([c for c in course.submission(TOPIC, {}).cells if c.metadata.get("nbgrader", {}).get("grade")])
NAMES = [f"student{number:02d}" for number in range(10)]


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGINT], ids=["kill", "ctrl-c"])
def test_a_killed_run_goes_on_where_it_stopped(tmp_path, registered, how, capsys):
    school = FakeClass(tmp_path, registered, NAMES)
    process = school.start("--jobs", "2", FAKE_SECONDS="1")  # on a busy machine the fourth must not be the last
    school.wait_for(3, process)
    process.send_signal(how)
    out, errors = process.communicate(timeout=60)
    if how == signal.SIGINT:
        assert process.returncode == 130 and "stopped by Ctrl-C" in out and "Traceback" not in errors
    before = school.recorded()
    assert 3 <= len(before) < len(NAMES), "killed too late to show anything"
    code, out = school.run(capsys, "--jobs", "2")
    assert code == 0, out
    assert f"going on: {len(before)} of {len(NAMES)}" in out
    assert f"graded               {len(NAMES):>6}" in out, "the summary must tell of both parts of the run"
    assert school.recorded() == dict.fromkeys(NAMES, CELLS)
    graded = Counter(school.log.read_text().split())
    assert all(graded[student] == 1 for student in before), "what was recorded was graded again"
    assert sum(graded.values()) <= len(NAMES) + 2, "more was lost than what two processes had in hand"
    code, out = school.run(capsys)
    assert code == 0 and f"{len(NAMES)} of {len(NAMES)} submissions are graded already" in out
    assert Counter(school.log.read_text().split()) == graded


def test_a_killed_forced_run_goes_on_too(tmp_path, registered, capsys):
    school = FakeClass(tmp_path, registered, [*NAMES[:6], "zoe"])
    assert school.run(capsys, "--jobs", "2")[0] == 0
    process = school.start("--jobs", "1", "--force", FAKE_SECONDS="0.5")
    journal = school.work / "runs" / TOPIC / "journal.jsonl"
    deadline = time.monotonic() + 100
    while process.poll() is None and (len(journal.read_text().splitlines()) != 3 or "true" not in journal.read_text()):
        assert time.monotonic() < deadline
        time.sleep(0.05)
    process.kill()
    process.communicate()
    code, out = school.run(capsys, "--jobs", "1", "--force")
    assert code == 0 and "going on: 2 of 7" in out, out
    times = Counter(school.log.read_text().split())
    assert times[NAMES[0]] == times[NAMES[1]] == times["zoe"] == 2, "a forced run grades each once"


def test_a_killer_gets_a_recorded_zero_and_nobody_else_is_touched(tmp_path, registered, capsys):
    school = FakeClass(tmp_path, registered, ["bomb1", "fail1", *NAMES[:4]])
    code, out = school.run(capsys, "--jobs", "2")
    assert code == 0, out
    assert school.recorded() == dict.fromkeys(NAMES[:4], CELLS) | {"bomb1": 0, "fail1": 0}
    tries = Counter(school.log.read_text().split())
    assert tries == dict.fromkeys(NAMES[:4], 1) | {"bomb1": 3, "fail1": 3}, "two tries, then the empty submission"
    assert "it ended the process that graded it, twice (SIGKILL)" in out
    assert "nbgrader could not grade it: ValueError: nonsense" in out
    assert "recorded zeros            2" in out
    assert "SIGKILL" in (school.work / "runs" / TOPIC / "logs" / "bomb1.log").read_text()
    assert not list(Path("/tmp").glob(f"grade-*/{TOPIC}")), "a process that was killed left its folder"


def test_a_submission_that_never_ends_is_stopped(tmp_path, registered, capsys, monkeypatch):
    monkeypatch.setattr(workers, "MAX_SECONDS", 3)
    school = FakeClass(tmp_path, registered, ["ann"])
    code, out = school.run(capsys, "--jobs", "1", FAKE_SECONDS="60")
    assert code == 1 and "an empty submission cannot be graded here either" in out
    assert "more than 3 seconds" in (school.work / "runs" / TOPIC / "logs" / "ann.log").read_text()


def test_a_broken_machine_gives_nobody_a_zero(tmp_path, registered, capsys):
    school = FakeClass(tmp_path, registered, NAMES[:4])
    code, out = school.run(capsys, "--jobs", "1", BROKEN="1")
    assert code == 1
    assert "an empty submission cannot be graded here either" in out
    assert "not graded                4" in out
    assert school.recorded() == {}
    assert school.run(capsys, "--jobs", "1")[0] == 0
    assert len(school.recorded()) == 4


def test_force_and_student_choose_what_is_graded(tmp_path, registered, capsys):
    school = FakeClass(tmp_path, registered, NAMES[:3])
    assert school.run(capsys, "--student", NAMES[1])[0] == 0
    assert list(school.recorded()) == [NAMES[1]]
    assert school.run(capsys, "--student", "student0*", "--force")[0] == 0
    assert Counter(school.log.read_text().split()) == {NAMES[0]: 1, NAMES[1]: 2, NAMES[2]: 1}
    code, out = school.run(capsys, "--student", "nobody")
    assert code == 1 and "no submission fits nobody" in out


def test_a_newer_submission_is_graded_again(tmp_path, registered, capsys):
    school = FakeClass(tmp_path, registered, ["ann"])
    school.run(capsys, "--jobs", "1")
    (school.work / "autograded" / "ann" / TOPIC / "timestamp.txt").write_text("2026-11-19 10:00:00")
    received.record(school.work / "received" / TOPIC, "ann", datetime(2026, 11, 20, 10), "a test")
    school.run(capsys, "--jobs", "1")
    assert school.log.read_text().split() == ["ann", "ann"]


def test_a_second_run_is_refused(tmp_path):
    with grade.alone(tmp_path), pytest.raises(grade.CannotGrade, match="another run"), grade.alone(tmp_path):
        pass


def test_journal_starts_anew_for_another_course_and_survives_a_torn_line(tmp_path):
    journal = grade.Journal(tmp_path, {"course": "a"})
    journal.add({"student": "ada", "score": 1})
    journal.file.write('{"student": "be')
    journal.file.close()
    assert list(grade.Journal(tmp_path, {"course": "a"}).entries) == ["ada"]
    assert not grade.Journal(tmp_path, {"course": "b"}).entries, "after a changed test a forced run must start anew"


def test_links_and_pipes_travel_as_such(tmp_path):
    folder = tmp_path / "class" / "submitted"
    (folder / "sub").mkdir(parents=True)
    (folder / "a.ipynb").write_text("x")
    (folder / "big.bin").write_bytes(bytes(100))
    (folder / "link").symlink_to("/etc/passwd")
    os.mkfifo(folder / "sub" / "pipe")
    (tmp_path / "class" / "linked").symlink_to(folder)
    archive.unpack(archive.pack(tmp_path / "class", ["submitted", "linked", "gone"], 50), tmp_path / "to")
    assert (tmp_path / "to" / "submitted" / "a.ipynb").read_text() == "x"
    assert os.readlink(tmp_path / "to" / "submitted" / "link") == "/etc/passwd"
    assert (tmp_path / "to" / "submitted" / "sub" / "pipe").is_fifo()
    assert not (tmp_path / "to" / "submitted" / "big.bin").exists()
    assert (tmp_path / "to" / "linked").is_symlink() and not (tmp_path / "to" / "gone").exists()


# Against the serial command, with real grading.


def rows(url):
    """{table: rows} of a gradebook; what stands for a made-up id is the row that it names."""
    engine, meta = create_engine(url), MetaData()
    meta.reflect(engine)
    labels, found = {}, {}
    with engine.connect() as connection:
        for table in meta.sorted_tables:
            table = Base.metadata.tables.get(table.name, table)  # with nbgrader's own types
            points_to = {c.name: next(iter(c.foreign_keys)).column.table.name for c in table.columns if c.foreign_keys}
            found[table.name] = []
            for row in connection.execute(select(table)).mappings():
                line = {}
                for column, value in row.items():
                    if column in points_to:
                        line[column] = labels.get((points_to[column], value), value)
                    elif column != "id" or table.name in ("course", "student"):
                        line[column] = value
                text = repr(sorted(line.items()))
                labels[table.name, row.get("id")] = text
                found[table.name].append(text)
            found[table.name].sort()
    engine.dispose()
    return found


def same_rows(url, other):
    ours, theirs = rows(url), rows(other)
    assert ours.keys() == theirs.keys()
    for table in theirs:
        assert ours[table] == theirs[table], f"the table {table} differs"
    assert len(theirs["grade"]) >= 3 * CELLS


def fill_class(work, url):
    """Four fates: mistakes and a late hand-in, no JSON, a link, nothing written.

    Of the first there are marks by hand and an extension already, as when a class is graded a second time.
    """
    made, _ = demo.make_class(TOPIC)
    late = course.hand_in(work, "eve", TOPIC, made["eve"])
    received.record(work / "received" / TOPIC, "eve", datetime(2026, 11, 20, 10), "a test", late)
    course.hand_in(work, "hal", TOPIC, made["hal"])
    course.hand_in(work, "dan", TOPIC, made["dan"])
    (work / "submitted" / "lea").mkdir()
    (work / "submitted" / "lea" / TOPIC).symlink_to("/etc")
    with Gradebook(url) as gradebook:
        gradebook.update_or_create_assignment(TOPIC, duedate=datetime(2026, 11, 19, 10))
        gradebook.add_student("eve", last_name="Adams")
        notebook = gradebook.add_submission(TOPIC, "eve").notebooks[0]
        first = sorted(notebook.grades, key=lambda entry: entry.name)[0]
        first.manual_score, first.needs_manual_grade = 0.5, False
        sorted(notebook.comments, key=lambda entry: entry.name)[0].manual_comment = "look again"
        gradebook.db.commit()
        gradebook.grant_extension(TOPIC, "eve", hours=1)


def sqlite(work):
    return f"sqlite:///{work / 'gradebook.db'}"


@pytest.fixture(scope="module")
def serial(tmp_path_factory, registered):
    """The class's folder as the serial command leaves it."""
    work = tmp_path_factory.mktemp("serial") / "class"
    shutil.copytree(registered, work)
    fill_class(work, sqlite(work))
    course.nbgrader("autograde", TOPIC, work=work)
    return work


def run_command(work, *arguments, **environment):
    environment = os.environ | {"COURSE_WORK": str(work), "PYTHONPATH": SEARCHED} | environment
    command = [sys.executable, "-m", "autograder", "grade", TOPIC, *arguments]
    done = warm.run(command, cwd=course.ROOT, env=environment, capture_output=True, text=True, timeout=500)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_two_processes_leave_the_gradebook_of_the_serial_command(tmp_path, serial, registered):
    work = tmp_path / "class"
    shutil.copytree(registered, work)
    fill_class(work, sqlite(work))
    out = run_command(work, "--jobs", "2")
    same_rows(sqlite(work), sqlite(serial))
    assert "hal: The file could not be read (it is not JSON)" in out and "lea:" in out
    for student in ("eve", "hal", "lea", "dan"):
        files = [sorted(p.name for p in (w / "autograded" / student / TOPIC).iterdir()) for w in (work, serial)]
        assert files[0] == files[1]
        page = work / "autograded" / student / TOPIC / f"{TOPIC}.ipynb"
        assert page.stat().st_mode & 0o777 == 0o444
        ours, theirs = (
            nbformat.read(w / "autograded" / student / TOPIC / page.name, as_version=4) for w in (work, serial)
        )
        assert [cell.source for cell in ours.cells] == [cell.source for cell in theirs.cells]


def test_code_that_kills_its_grader_gets_a_zero_with_the_reason(tmp_path):
    """Without a jail, on purpose: the kernel reaches the process that grades it."""
    killer = course.submission(TOPIC, {})
    killer.cells.insert(1, nbformat.v4.new_code_cell("import os\nos.kill(os.getppid(), 9)"))
    course.hand_in(tmp_path, "kim", TOPIC, killer)
    out = run_command(tmp_path, "--jobs", "1", COURSE_JAIL="trusted")
    assert "kim: The file could not be read (it ended the process that graded it, twice (SIGKILL))" in out
    assert set(course.grades(tmp_path, TOPIC)["kim"].values()) == {0}
    notebook = nbformat.read(tmp_path / "autograded" / "kim" / TOPIC / f"{TOPIC}.ipynb", as_version=4)
    assert notebook.cells[0].source.startswith(graft.NOTES_HEADING)


# Past one machine.


@pytest.fixture
def cluster(tmp_path):
    """The address of a Dask scheduler with two workers, as the guide starts them, that run the fake grader."""
    pytest.importorskip("distributed", reason="grading on a cluster is NOT tested: pip install -e '.[dask]'")
    preload, place = tmp_path / "preload.py", tmp_path / "scheduler.json"
    fake = [sys.executable, str(tmp_path / "fake.py")]
    preload.write_text(f"from autograder.grading import workers\nworkers.COMMAND = {fake!r}\n")
    environment = os.environ | {"PYTHONPATH": SEARCHED, "FAKE_LOG": str(tmp_path / "graded.txt"), "FAKE_SECONDS": "0.3"}
    dask = [sys.executable, "-m", "dask"]
    scheduler = ["scheduler", "--host", "127.0.0.1", "--port", "0", "--no-dashboard", "--scheduler-file", str(place)]
    worker = ["worker", "--scheduler-file", str(place), "--nworkers", "2", "--nthreads", "1", "--no-dashboard"]
    with open(tmp_path / "dask.log", "w") as log:
        options = {"env": environment, "stdout": log, "stderr": log, "cwd": tmp_path}
        programs = [subprocess.Popen([*dask, *scheduler], **options)]
        programs.append(subprocess.Popen([*dask, *worker, "--preload", str(preload)], **options))
    deadline = time.monotonic() + 60
    while not place.exists():
        assert time.monotonic() < deadline and programs[0].poll() is None, (tmp_path / "dask.log").read_text()
        time.sleep(0.1)
    yield json.loads(place.read_text())["address"]
    for program in reversed(programs):
        program.terminate()
        program.wait(30)


def test_a_dask_worker_that_is_killed_loses_nothing(tmp_path, registered, cluster):
    from distributed import Client

    names = [f"student{number:02d}" for number in range(24)] + ["bomb1"]
    school = FakeClass(tmp_path, registered, names)
    process = school.start("--dask", cluster)
    school.wait_for(6, process)
    with Client(cluster, set_as_default=False) as client:
        victim = next(iter(client.run(os.getpid).values()))
    os.kill(victim, signal.SIGKILL)
    out, errors = process.communicate(timeout=200)
    assert process.returncode == 0, out + errors
    assert school.recorded() == dict.fromkeys(names[:-1], CELLS) | {"bomb1": 0}
    entries = [json.loads(line) for line in (school.work / "runs" / TOPIC / "journal.jsonl").open()]
    recorded = Counter(entry["student"] for entry in entries if "student" in entry)
    assert recorded == dict.fromkeys(names, 1), "recorded twice"
    assert f"{victim}" in (tmp_path / "dask.log").read_text(), "no worker was killed"


def test_a_worker_with_another_version_of_the_course_grades_nothing(tmp_path, registered, monkeypatch):
    shutil.copytree(registered, tmp_path / "class")
    course.hand_in(tmp_path / "class", "ada", TOPIC, "{}")
    monkeypatch.setenv("COURSE_WORK", str(tmp_path / "class"))
    book = ledger.Ledger(TOPIC, tmp_path)
    task = book.task("ada", 1) | {"fingerprint": "other"}
    result = grader.Grader.grade(grader.Grader.__new__(grader.Grader), task)
    assert result["status"] == "failed" and "another version of the course" in result["log"]


def test_a_cluster_with_another_version_is_refused(tmp_path, registered, cluster, capsys):
    from distributed import Client

    school = FakeClass(tmp_path, registered, ["ann"])
    with Client(cluster, set_as_default=False) as client:
        client.wait_for_workers(2, timeout=60)
        client.run(exec, "from autograder.grading import archive\narchive.fingerprint = lambda name: 'other'")
    code, out = school.run(capsys, "--dask", cluster)
    assert code == 1 and "another version of the course is on tcp://" in out
    assert not school.log.read_text()


def test_the_guide_installs_what_the_servers_need():
    extras = tomllib.loads((course.ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]
    assert extras["dask"][0].startswith("distributed==") and extras["postgres"][0].startswith("psycopg[binary]==")


def test_costs_are_measured_and_saved(tmp_path, monkeypatch, capsys):
    """The whole command but for the grading itself, which the tests above have done."""

    def graded(assignment, work, jobs, jail):
        Path(work, "autograded").mkdir()
        folder = Path(work, "runs", assignment)
        folder.mkdir(parents=True)
        lines = {"student": "honest", "seconds": 2}, {"student": "loop", "seconds": 22}, {"own_s": 0.8}
        (folder / "journal.jsonl").write_text("\n".join(map(json.dumps, lines)))
        return {"jobs": jobs, "jail": jail, "wall_s": 12.0 - 5 * (jobs > 0), "cpu_s": 6.0, "load": 1.0}

    def register(command, assignment, work):
        Path(work, "gradebook.db").write_bytes(b"")

    monkeypatch.setattr(costs, "measure", graded)
    monkeypatch.setattr(course, "nbgrader", register)
    monkeypatch.setattr(costs, "SAVED", course.ROOT / "autograder" / "costs-of-a-test.json")
    monkeypatch.setenv("COURSE_JAIL", "trusted")
    try:
        assert __main__.main(["costs", TOPIC, "--students", "2", "--rounds", "1", "--save"]) == 0
        for option in ("--stock", "--whole-class", "--loop"):
            assert __main__.main(["costs", TOPIC, "--students", "2", "--rounds", "1", "--save", option]) == 0
        saved = json.loads(costs.SAVED.read_text())
    finally:
        costs.SAVED.unlink(missing_ok=True)
    assert [run["jail"] for run in saved["stock"]["runs"]] == ["trusted", "stock"]
    assert saved["class"]["wall_s"] == 7.0 and saved["loop"]["loop_s"] == 22.0
    words = tables.more_cost_words(saved)
    assert "takes 6.00 s a submission" in words and "20 s more than an honest one" in words
    assert saved["own_s"] == 0.4 and [run["jobs"] for run in saved["runs"]] == [0, 2, 0, 2]
    assert "saved in autograder/costs-of-a-test.json" in capsys.readouterr().out


# PostgreSQL.


@pytest.fixture(scope="module")
def postgres(tmp_path_factory):
    """The address of a database on a server of our own, on a Unix socket."""
    programs = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"))
    program = shutil.which("initdb") or (str(programs[-1]) if programs else None)
    if program is None:
        pytest.skip("no PostgreSQL server: NBGRADER_DB_URL on it is NOT tested. On Debian: apt-get install postgresql")
    pytest.importorskip("psycopg", reason="PostgreSQL is NOT tested: pip install -e '.[postgres]'")
    folder = Path("/tmp") / f"pg-{os.getpid()}"  # the path of a socket must be short
    folder.mkdir()
    user = {"user": "postgres", "group": "postgres", "extra_groups": []} if os.getuid() == 0 else {}
    if user:
        shutil.chown(folder, "postgres", "postgres")
    binaries, options = Path(program).resolve().parent, {"check": True, "capture_output": True, "cwd": folder} | user
    control = [str(binaries / "pg_ctl"), "--pgdata", str(folder / "data"), "--log", str(folder / "log"), "--wait"]
    initdb = [program, "--pgdata", str(folder / "data"), "--username=nbgrader", "--auth=trust", "--no-sync"]
    try:
        subprocess.run([*initdb, "--encoding=UTF8"], **options)
        subprocess.run([*control, "-o", f"-c listen_addresses= -k {folder}", "start"], **options)
        yield f"postgresql+psycopg://nbgrader@/postgres?host={folder}"
    finally:
        subprocess.run([*control, "--mode=immediate", "stop"], **options | {"check": False})
        shutil.rmtree(folder)


def test_postgresql_holds_the_same_rows(tmp_path, serial, postgres, monkeypatch):
    monkeypatch.setenv("NBGRADER_DB_URL", postgres)
    course.nbgrader("generate_assignment", TOPIC, work=tmp_path)
    fill_class(tmp_path, postgres)
    run_command(tmp_path, "--jobs", "2")
    same_rows(postgres, sqlite(serial))
    course.nbgrader("autograde", TOPIC, "--student", "hal", "--force", work=tmp_path)  # the serial command, on it too
    same_rows(postgres, sqlite(serial))
    course.nbgrader("export", "--to", str(tmp_path / "grades.csv"), work=tmp_path)
    assert "eve" in (tmp_path / "grades.csv").read_text()
    assert not (tmp_path / "gradebook.db").exists()
