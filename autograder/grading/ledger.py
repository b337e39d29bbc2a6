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

from nbgrader.api import Gradebook
from nbgrader.apps import AutogradeApp
from sqlalchemy import select

from autograder.grading.archive import ROOT, fingerprint, pack
from autograder.grading.rows import TABLES, connect, rows_of_assignment, rows_of_student
from autograder.intake import folders, received, register
from autograder.intake.reading import MAX_FILE_BYTES, leave_problem


class Ledger:
    """The class of one assignment. Raises NbGraderException where the gradebook knows another version of it."""

    def __init__(self, assignment, scratch):
        self.assignment, self.scratch = assignment, Path(scratch)
        with contextlib.chdir(ROOT):
            app = AutogradeApp()
            app.initialize(["--log-level=WARN"])
        self.place = app.coursedir
        self.place.assignment_id = assignment
        register.register_assignment(self.place, app.log)
        Gradebook(self.place.db_url).close()  # nbgrader's own first step with every submission: its default course
        self.engine = connect(self.place.db_url)
        with self.engine.connect() as connection:
            self.rows = rows_of_assignment(connection, assignment)
        released = sorted(register.release_path(self.place, assignment).glob("*.ipynb"))
        self.release = {path.name: path.read_bytes() for path in released}
        self.fingerprint = fingerprint(assignment)

    def folder(self, step, student):
        return Path(self.place.format_path(getattr(self.place, f"{step}_directory"), student, self.assignment))

    def take_in(self, patterns):
        """The students who handed in something and fit a pattern, after the intake has seen each submission."""
        found = {folder.parent.name: folder for folder in folders.submission_folders(self.place)}
        chosen = sorted(s for s in found if any(fnmatch.fnmatchcase(s, pattern) for pattern in patterns))
        for student in chosen:
            folders.take_in(self.place, found[student], set(self.release))
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
                return task | {"archive": pack(base, parts, MAX_FILE_BYTES)}
            except OSError as error:
                problem = f"the folder cannot be read: {error.strerror}"
        with tempfile.TemporaryDirectory(dir=self.scratch) as empty:
            self.lay_out_empty(base, Path(empty), parts, problem)
            return task | {"archive": pack(Path(empty), parts, MAX_FILE_BYTES)}

    def lay_out_empty(self, base, empty, parts, problem):
        """Lays out a submission that says why it is empty; when it was handed in stays known."""
        folder, times = empty / parts[0], empty / parts[1]
        folder.mkdir(parents=True)
        for name in self.release:
            leave_problem(folder / name, problem)
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
