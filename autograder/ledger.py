"""The gradebook and the folder of graded notebooks: who is graded, what a grader needs of them, what it hands back.

One process writes here, one submission at a time: its rows in one transaction, then its folder by one rename. So a
submission is graded or it is not, whenever a run is killed; and any database that nbgrader takes will do.
"""

import contextlib
import fnmatch
import json
import os
import shutil
import tempfile
from pathlib import Path

import nbformat
from nbgrader.api import Base, Gradebook
from nbgrader.apps import AutogradeApp
from sqlalchemy import create_engine, select

from autograder import intake, received, workers

TABLES = {table.name: table for table in Base.metadata.sorted_tables}
OF_STUDENT = ("course", "student", "submitted_assignment", "submitted_notebook", "comment", "grade")
BUSY_SECONDS = 120  # how long to wait for another program that writes the same SQLite file


def connect(url):
    return create_engine(url, connect_args={"timeout": BUSY_SECONDS} if url.startswith("sqlite") else {})


def read(connection, name, column, values):
    """The rows of a table whose `column` is one of `values`, as {id: {column: value}}."""
    table = TABLES[name]
    found = connection.execute(select(table).where(table.c[column].in_(list(values)))).mappings()
    return {row["id"]: dict(row) for row in found}


def rows_of_assignment(connection, name):
    """{table: rows} of an assignment and its cells."""
    rows = {"assignment": read(connection, "assignment", "name", [name])}
    rows["course"] = read(connection, "course", "id", [row["course_id"] for row in rows["assignment"].values()])
    rows["notebook"] = read(connection, "notebook", "assignment_id", rows["assignment"])
    for table in ("base_cell", "source_cell"):
        rows[table] = read(connection, table, "notebook_id", rows["notebook"])
    for table in ("grade_cells", "solution_cells", "task_cells"):
        rows[table] = read(connection, table, "id", rows["base_cell"])
    return rows


def rows_of_student(connection, assignments, student):
    """{table: rows} of a student and of what was recorded for the assignments before: marks by hand, an extension."""
    rows = {"student": read(connection, "student", "id", [student])}
    submitted = read(connection, "submitted_assignment", "student_id", [student])
    rows["submitted_assignment"] = {key: row for key, row in submitted.items() if row["assignment_id"] in assignments}
    rows["submitted_notebook"] = read(connection, "submitted_notebook", "assignment_id", rows["submitted_assignment"])
    for table in ("comment", "grade"):
        rows[table] = read(connection, table, "notebook_id", rows["submitted_notebook"])
    return rows


def fill(path, rows):
    """Makes a gradebook in a file of its own, with these rows and no others."""
    path.unlink(missing_ok=True)
    engine = create_engine(f"sqlite:///{path}")
    Base.metadata.create_all(engine)
    with engine.begin() as connection:
        for name, table in TABLES.items():
            if rows.get(name):
                connection.execute(table.insert(), list(rows[name].values()))
    engine.dispose()


def outcome(path, before, student, assignment, folder):
    """What grading changed: rows, files, and for the summary the score, what waits for a person, and notes."""
    engine = create_engine(f"sqlite:///{path}")
    changes = []
    with engine.connect() as connection:
        for name in OF_STUDENT:
            for row in connection.execute(select(TABLES[name])).mappings():
                old = before.get(name, {}).get(row["id"])
                new = {column: value for column, value in row.items() if old is None or old[column] != value}
                if new:
                    changes.append((name, row["id"], old is None, new))
    engine.dispose()
    with Gradebook(f"sqlite:///{path}") as gradebook:
        found = gradebook.find_submission(assignment, student)
        score = found.score
        waiting = sum(grade.needs_manual_grade for notebook in found.notebooks for grade in notebook.grades)
    files = {p.relative_to(folder).as_posix(): p.read_bytes() for p in sorted(folder.rglob("*")) if p.is_file()}
    return {"changes": changes, "files": files, "score": score, "waiting": waiting, "notes": notes_of(folder)}


def notes_of(folder):
    """What the intake wrote at the top of the graded notebooks."""
    notes = []
    for path in sorted(folder.glob("*.ipynb")):
        for cell in nbformat.read(path, as_version=4).cells[:1]:
            if cell.source.startswith(intake.NOTES_HEADING):
                notes += [line.removeprefix("- ") for line in cell.source.splitlines()[1:] if line.strip()]
    return notes


class Ledger:
    """The class of one assignment. Raises NbGraderException where the gradebook knows another version of it."""

    def __init__(self, assignment, scratch):
        self.assignment, self.scratch = assignment, Path(scratch)
        with contextlib.chdir(workers.ROOT):
            app = AutogradeApp()
            app.initialize(["--log-level=WARN"])
        self.place = app.coursedir
        self.place.assignment_id = assignment
        intake.register_assignment(self.place, app.log)
        Gradebook(self.place.db_url).close()  # nbgrader's own first step with every submission: its default course
        self.engine = connect(self.place.db_url)
        with self.engine.connect() as connection:
            self.rows = rows_of_assignment(connection, assignment)
        released = sorted(intake.release_path(self.place, assignment).glob("*.ipynb"))
        self.release = {path.name: path.read_bytes() for path in released}
        self.fingerprint = workers.fingerprint(assignment)

    def folder(self, step, student):
        return Path(self.place.format_path(getattr(self.place, f"{step}_directory"), student, self.assignment))

    def take_in(self, patterns):
        """The students who handed in something and fit a pattern, after the intake has seen each submission."""
        found = {folder.parent.name: folder for folder in intake.submission_folders(self.place)}
        chosen = sorted(s for s in found if any(fnmatch.fnmatchcase(s, pattern) for pattern in patterns))
        for student in chosen:
            intake.take_in(self.place, found[student], set(self.release))
        return chosen

    def is_graded(self, student):
        """As nbgrader decides it: there is a graded folder, and no newer submission by the time stamps."""
        graded = self.folder("autograded", student)
        if not graded.exists():
            return False
        times = []
        for step in ("submitted", "autograded"):
            try:
                times.append(self.place.get_existing_timestamp(str(self.folder(step, student))))
            except (SystemExit, Exception):  # a time stamp that is no time stamp: the intake sets it aside
                times.append(None)
        return None in times or times[0] <= times[1]

    def task(self, student, attempt, problem=""):
        """What a grader needs. With a `problem` it grades an empty submission with that reason in its place."""
        with self.engine.connect() as connection:
            own = rows_of_student(connection, self.rows["assignment"], student)
        task = {"student": student, "assignment": self.assignment, "attempt": attempt, "release": self.release}
        task |= {"rows": self.rows | own, "fingerprint": self.fingerprint}
        base = received.beside_submitted(self.place, "")
        parts = [f"submitted/{student}/{self.assignment}", f"received/{self.assignment}/{student}.json"]
        parts.append(f"quarantine/{student}/{self.assignment}/notes.json")  # what the intake has found already
        parts.append(f"received/{self.assignment}/renamed.json")  # exercises that got another name since
        if not problem:
            try:
                return task | {"archive": workers.pack(base, parts, intake.MAX_FILE_BYTES)}
            except OSError as error:
                problem = f"the folder cannot be read: {error.strerror}"
        with tempfile.TemporaryDirectory(dir=self.scratch) as empty:
            self.leave_problem(base, Path(empty), parts, problem)
            return task | {"archive": workers.pack(Path(empty), parts, intake.MAX_FILE_BYTES)}

    def leave_problem(self, base, empty, parts, problem):
        """Lays out a submission that says why it is empty; when it was handed in stays known."""
        folder, times = empty / parts[0], empty / parts[1]
        folder.mkdir(parents=True)
        for name in self.release:
            intake.leave_problem(folder / name, problem)
        known = received.load(base / parts[1])
        if known:
            times.parent.mkdir(parents=True)
            times.write_text(json.dumps(known | {"sha256": ""}))

    def record(self, result):
        """Writes a result. Raises sqlalchemy's errors where somebody else changed these rows meanwhile."""
        target = self.folder("autograded", result["student"])
        part, old = (target.with_name(f".{target.name}-{word}") for word in ("part", "old"))
        for folder in (part, old):
            shutil.rmtree(folder, ignore_errors=True)
        for name, content in result["files"].items():
            path = part / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content)
            path.chmod(0o444)  # as nbgrader leaves them
        with self.engine.begin() as connection:
            for name, key, is_new, values in result["changes"]:
                table = TABLES[name]
                if not is_new:
                    connection.execute(table.update().where(table.c.id == key).values(values))
                elif connection.execute(select(table.c.id).where(table.c.id == key)).first() is None:
                    connection.execute(table.insert(), values)
        if target.exists():
            os.rename(target, old)
        os.rename(part, target)
        shutil.rmtree(old, ignore_errors=True)

    def close(self):
        self.engine.dispose()
