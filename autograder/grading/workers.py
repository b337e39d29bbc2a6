"""Processes that grade one submission at a time by nbgrader's autograde: on this machine, or on a Dask cluster.

A task is plain data: the submission as an archive, the release, and the rows of the gradebook that belong to the
assignment and the student. So is its result: the graded files and the rows that changed. A process that dies takes
nothing with it, since it owns neither the class nor the gradebook; ledger.py alone writes both.
"""

import contextlib
import os
import pickle
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from multiprocessing import Pipe
from multiprocessing.connection import wait
from pathlib import Path

from autograder.grading.archive import ROOT

MAX_SECONDS = 1800  # for one submission, whatever it does; each of its cells has its own limit far below
MAX_PER_PROCESS = 200  # then a fresh process takes over: what nbgrader leaks stays small
LOG_CHARS = 20_000
COMMAND = [sys.executable, "-m", "autograder.grading.grader"]


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
