"""Processes that grade one submission at a time by nbgrader's autograde: on this machine, or on a Dask cluster.

A task is plain data: the submission as an archive, the release, and the rows of the gradebook that belong to the
assignment and the student. So is its result: the graded files and the rows that changed. A process that dies takes
nothing with it, since it owns neither the class nor the gradebook; autograder/ledger.py alone writes both.
"""

import contextlib
import glob
import hashlib
import io
import os
import pickle
import shutil
import signal
import subprocess
import sys
import tarfile
import tempfile
import threading
import time
from multiprocessing import Pipe
from multiprocessing.connection import Connection, wait
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
MAX_SECONDS = 1800  # for one submission, whatever it does; each of its cells has its own limit far below
MAX_PER_PROCESS = 200  # then a fresh process takes over: what nbgrader leaks stays small
LOG_CHARS = 20_000
COMMAND = [sys.executable, "-m", "autograder.workers"]


def fingerprint(assignment):
    """A digest of what decides the scores: the grader's code, its configuration, the assignment. All must agree."""
    digest = hashlib.sha256()
    wanted = ["nbgrader_config.py", "autograder/**/*.py", f"solutions/{assignment}/*", f"notebooks/{assignment}/*"]
    for pattern in wanted:
        for path in sorted(ROOT.glob(pattern)):
            relative = path.relative_to(ROOT).as_posix()
            if path.is_file() and not relative.startswith(("autograder/audit/", "autograder/demo/")):
                digest.update(relative.encode() + b"\0" + path.read_bytes() + b"\0")
    return digest.hexdigest()


def pack(base, parts, max_file_bytes):
    """Those paths below `base` which exist, as the bytes of a tar archive; a link goes in as a link.

    Files over `max_file_bytes` are left out: the intake would not take them either.
    """

    def small(member):
        return None if member.size > max_file_bytes else member

    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.PAX_FORMAT) as archive:
        for part in parts:
            if os.path.lexists(base / part):
                archive.add(base / part, arcname=part, filter=small)
    return buffer.getvalue()


def unpack(archive, base):
    """The reverse of `pack`; the archive is our own, so its members lie below `base`."""
    with tarfile.open(fileobj=io.BytesIO(archive)) as members:
        members.extractall(base, filter="fully_trusted")


class Grader:
    """nbgrader's autograde, loaded once and pointed at a folder that holds one submission at a time."""

    def __init__(self, scratch):
        from nbgrader.apps import AutogradeApp
        from sqlalchemy import event
        from sqlalchemy.engine import Engine

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
        from nbgrader.converters import Autograde
        from nbgrader.converters.base import NbGraderException

        from autograder import ledger

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
        ledger.fill(self.scratch / "gradebook.db", task["rows"])
        place = self.app.coursedir
        place.assignment_id, place.student_id = assignment, glob.escape(student)
        with contextlib.suppress(NbGraderException, SystemExit):
            Autograde(coursedir=place, parent=self.app).start()
            graded = self.scratch / "autograded" / student / assignment
            if graded.is_dir():
                result |= ledger.outcome(self.scratch / "gradebook.db", task["rows"], student, assignment, graded)
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


class Child:
    """One such process as its owner sees it: give it a task, wait for `connection`, take the result."""

    def __init__(self):
        self.scratch = Path(tempfile.mkdtemp(prefix="grade-"))
        self.connection, theirs = Pipe()
        self.log_path = self.scratch / "log"
        searched = os.pathsep.join([str(ROOT), *filter(None, [os.environ.get("PYTHONPATH")])])
        environment = {**os.environ, "PYTHONPATH": searched, "MPLBACKEND": "agg", "COURSE_WORK": str(self.scratch)}
        environment.setdefault("OMP_NUM_THREADS", "1")
        environment.pop("NBGRADER_DB_URL", None)  # the class's gradebook is none of its business
        with open(self.log_path, "wb") as log:
            self.process = subprocess.Popen(
                [*COMMAND, str(theirs.fileno()), str(self.scratch)],
                pass_fds=[theirs.fileno()],
                cwd=ROOT,
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,  # Ctrl-C is for the owner, who stops this process in good order
            )
        theirs.close()
        self.task, self.num_done = None, 0

    def give(self, task):
        self.task, self.read_from = task, self.log_path.stat().st_size
        self.deadline = time.monotonic() + MAX_SECONDS
        (self.scratch / "task").write_bytes(pickle.dumps(task))  # a pipe would make us wait until it is read
        with contextlib.suppress(OSError):  # it is dead: `take` says so
            self.connection.send("task")

    @property
    def is_late(self):
        return self.task is not None and time.monotonic() > self.deadline

    def take(self):
        """The result of the task. A process that died or ran too long is a result too, with status "died"."""
        task, self.task = self.task, None
        self.num_done += 1
        result = {"student": task["student"], "attempt": task["attempt"], "status": "died", "seconds": 0.0}
        if time.monotonic() > self.deadline:
            self.process.kill()
            result["reason"] = f"grading it took more than {MAX_SECONDS} seconds, twice"
        else:
            try:
                result = self.connection.recv()
            except (EOFError, OSError):
                code = self.process.wait()
                how = signal.Signals(-code).name if code < 0 else f"exit code {code}"
                result["reason"] = f"it ended the process that graded it, twice ({how})"
        with open(self.log_path, "rb") as log:
            log.seek(self.read_from)
            result.setdefault("log", log.read()[-LOG_CHARS:].decode(errors="replace"))
        return result

    @property
    def is_spent(self):
        return self.process.poll() is not None or self.num_done >= MAX_PER_PROCESS

    def close(self):
        self.connection.close()
        if self.process.poll() is None:
            self.process.terminate()
            try:
                self.process.wait(15)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
        shutil.rmtree(self.scratch, ignore_errors=True)


class LocalPool:
    """`jobs` processes on this machine. `submit` takes a list of tasks, `results` waits for some."""

    batch = 1

    def __init__(self, jobs):
        self.size = jobs
        self.idle, self.busy = [Child() for _ in range(jobs)], []  # they load nbgrader while their owner does

    def need(self, num_tasks):
        """Ends the processes that so many tasks leave without work."""
        self.size = min(self.size, max(1, num_tasks))
        while len(self.idle) > self.size:
            self.idle.pop().close()

    @property
    def num_running(self):
        return len(self.busy)

    def submit(self, tasks):
        for task in tasks:
            child = self.idle.pop() if self.idle else Child()
            child.give(task)
            self.busy.append(child)

    def results(self):
        ready = wait([child.connection for child in self.busy], timeout=1)
        for child in [child for child in self.busy if child.connection in ready or child.is_late]:
            self.busy.remove(child)
            result = child.take()
            if child.is_spent:
                child.close()
            else:
                self.idle.append(child)
            yield result

    def close(self):
        children, self.idle, self.busy = self.idle + self.busy, [], []
        for child in children:  # all at once, then each in turn
            if child.process.poll() is None:
                child.process.terminate()
        for child in children:
            child.close()

    def __str__(self):
        return "1 process" if self.size == 1 else f"{self.size} processes"


own = threading.local()  # on a Dask worker: the process that grades for this thread


def grade_batch(tasks):
    """Runs on a Dask worker: results of a list of tasks, graded in a process beside the worker's own."""
    results = []
    for task in tasks:
        if getattr(own, "pool", None) is None:
            own.pool = LocalPool(1)
        own.pool.submit([task])
        while own.pool.num_running:
            results += own.pool.results()
    return results


class DaskPool:
    """The workers of a Dask cluster. A task that was lost with its worker is run again by another one."""

    batch = 4

    def __init__(self, address):
        from dask.distributed import Client, as_completed

        self.client = Client(address, set_as_default=False, timeout=20)
        self.finished = as_completed(loop=self.client.loop, raise_errors=False)
        self.given = {}

    @property
    def size(self):
        """Batches to keep under way: one that runs and one that waits on each thread of the cluster."""
        return 2 * max(1, sum(self.client.nthreads().values()))

    def strangers(self, assignment):
        """The addresses of workers that have another version of the course."""
        found = self.client.run(fingerprint, assignment)
        return sorted(address for address, digest in found.items() if digest != fingerprint(assignment))

    def need(self, num_tasks):
        pass

    @property
    def num_running(self):
        return len(self.given)

    def submit(self, tasks):
        future = self.client.submit(grade_batch, tasks, pure=False)
        self.given[future.key] = tasks
        self.finished.add(future)

    def results(self):
        future = next(self.finished)
        tasks = self.given.pop(future.key)
        if future.status == "finished":
            yield from future.result()
            return
        reason = f"the cluster gave up on it ({type(future.exception()).__name__})"
        for task in tasks:
            lost = {"student": task["student"], "attempt": task["attempt"], "status": "died", "seconds": 0.0}
            yield lost | {"reason": reason, "log": str(future.exception())[-LOG_CHARS:]}

    def close(self):
        self.client.close()

    def __str__(self):
        return f"a cluster of {self.size // 2} workers"


if __name__ == "__main__":
    main(*sys.argv[1:])
