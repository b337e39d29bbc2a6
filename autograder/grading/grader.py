"""A process that grades one submission at a time by nbgrader's autograde: python -m autograder.grading.grader

It owns neither the class nor the gradebook, so a process that dies takes nothing with it."""

import contextlib
import glob
import os
import pickle
import shutil
import signal
import sys
import threading
import time
from multiprocessing.connection import Connection
from pathlib import Path

from nbgrader.apps import AutogradeApp
from nbgrader.converters import Autograde
from nbgrader.converters.base import NbGraderException
from sqlalchemy import event
from sqlalchemy.engine import Engine

from autograder.grading.archive import fingerprint, unpack
from autograder.grading.rows import fill, outcome


class Grader:
    """nbgrader's autograde, loaded once and pointed at a folder that holds one submission at a time."""

    def __init__(self, scratch):
        @event.listens_for(Engine, "connect")
        def do_not_wait_for_the_disk(connection, _):
            connection.execute("PRAGMA synchronous=OFF")  # only this process's own copies, which a crash may take

        self.scratch = Path(scratch)
        self.app = AutogradeApp()
        self.app.initialize([])
        place = self.app.coursedir
        place.source_directory = os.path.join(place.root, place.source_directory)
        place.root = str(self.scratch)
        for step in ("submitted", "autograded", "release", "feedback"):
            setattr(place, f"{step}_directory", str(self.scratch / step))
        place.db_url = f"sqlite:///{self.scratch / 'gradebook.db'}"

    def grade(self, task):
        """The result of a task; "status" is "graded", or "failed" where nbgrader gave the submission up."""
        start = time.monotonic()
        student, assignment = task["student"], task["assignment"]
        result = {"student": student, "status": "failed", "attempt": task["attempt"]}
        if task["fingerprint"] != fingerprint(assignment):
            return result | {"log": "this machine has another version of the course than the one that gives out work"}
        for step in ("submitted", "autograded", "release", "quarantine", "received"):
            shutil.rmtree(self.scratch / step, ignore_errors=True)
        for name, content in task["release"].items():
            path = self.scratch / "release" / assignment / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content)
        unpack(task["archive"], self.scratch)
        fill(self.scratch / "gradebook.db", task["rows"])
        place = self.app.coursedir
        place.assignment_id, place.student_id = assignment, glob.escape(student)
        with contextlib.suppress(NbGraderException, SystemExit):
            Autograde(coursedir=place, parent=self.app).start()
            graded = self.scratch / "autograded" / student / assignment
            if graded.is_dir():
                result |= outcome(self.scratch / "gradebook.db", task["rows"], student, assignment, graded)
                result["status"] = "graded"
        return result | {"seconds": time.monotonic() - start}


def main(descriptor, scratch):
    """The life of a process: tasks come and results go through the socket `descriptor`, until its other end is gone."""
    connection = Connection(int(descriptor))
    os.set_inheritable(int(descriptor), False)
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # so that the kernel is shut down on the way out
    threading.Thread(target=leave_with_parent, args=(os.getppid(),), daemon=True).start()
    with contextlib.suppress(EOFError, BrokenPipeError, ConnectionResetError, KeyboardInterrupt):
        grader = Grader(scratch)
        while True:
            connection.send(grader.grade(pickle.loads(Path(scratch, connection.recv()).read_bytes())))
    shutil.rmtree(scratch, ignore_errors=True)


def leave_with_parent(parent):
    while os.getppid() == parent:
        time.sleep(1)
    os.kill(os.getpid(), signal.SIGTERM)
    time.sleep(10)
    os._exit(1)


if __name__ == "__main__":
    main(*sys.argv[1:])
