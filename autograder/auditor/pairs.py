"""Scores answers as children.Child does, with the student's side in one child and the tests in another; no Jupyter."""

import contextlib
import os
import signal
import sys
import tempfile
import time

from autograder.outside import package
from autograder.outside.tester import Tester
from autograder.sandbox import confine
from autograder.scoring import limit_this_process

from .children import Run


class Pair:
    """One candidate: a child with the student's functions and the agent, and a child with the test cells."""

    def __init__(self, topic, key, answers, exercises, cpu_limit_s, stop_early=False):
        self.topic, self.key, self.exercises, self.cpu_limit_s = topic, key, exercises, cpu_limit_s
        if package.NAME not in sys.modules:
            package.load(package.sources())
        self.cells = [
            topic.exercises[name][kind]
            for name in exercises
            for kind in ("test", "hidden")
            if kind in topic.exercises[name]
        ]
        self.folder = tempfile.mkdtemp(prefix="pair-")
        path = os.path.join(self.folder, "tester")
        # confined wherever it can be, so that the audit proves that honest answers keep their points under it
        self.tester = Tester(topic, self.cells, path, 6 * cpu_limit_s + 10, confined=not confine.objection())
        self.start = time.monotonic()
        self.student = os.fork()
        if self.student == 0:
            with contextlib.suppress(BaseException):
                self.be_student(path, answers)
            os._exit(0)

    def be_student(self, path, answers):
        limit_this_process(self.cpu_limit_s)
        space, _ = self.topic.define(answers)
        sys.modules[package.NAME].agent.serve(path, space)

    @property
    def read_end(self):
        return self.tester.read_end

    def read(self):
        return self.tester.read()

    def enforce_wall_time(self):
        if self.tester.is_late():
            self.tester.kill()

    def result(self):
        """The Run: points and reasons as children.Child gives them; cpu_s is the wall time of the pair here."""
        found = self.tester.result()
        with contextlib.suppress(ProcessLookupError):
            os.kill(self.student, signal.SIGKILL)
        os.waitpid(self.student, 0)
        with contextlib.suppress(OSError):
            os.rmdir(self.folder)
        points, reasons = {}, {}
        for cell in self.cells:
            reasons[cell.grade_id] = found.get(cell.grade_id, ["not run"])[0]
            points[cell.grade_id] = 0 if reasons[cell.grade_id] else cell.options["points"]
        return Run(points, reasons, time.monotonic() - self.start)
