"""Scores answers by the tests of their script, each in a forked child with limits.

The parent imports what the topic imports once and runs its set-up cells; a child costs milliseconds.
"""

import contextlib
import importlib
import io
import json
import os
import selectors
import signal
import sys
import time
from dataclasses import dataclass

from autograder.scoring import limit_this_process, seed_generators


@dataclass
class Run:
    """What one candidate got: points per grade_id, and why it lost some ("" where it did not)."""

    points: dict
    reasons: dict
    cpu_s: float = 0.0
    imported: tuple = ()

    @property
    def total(self):
        return sum(self.points.values())


def score_references(topic, jobs, exercises, cpu_limit_s):
    """{exercise: Run} of the references. What they import late is then imported here, for all later children."""
    work = [(exercise, {}, [exercise], cpu_limit_s, False) for exercise in exercises]
    runs = dict(score_all(topic, jobs, work))
    for name in dict.fromkeys(name for run in runs.values() for name in run.imported):
        with contextlib.suppress(Exception):  # a module that a module makes
            importlib.import_module(name)
    return {exercise: runs[exercise] for exercise in exercises}


def score_all(topic, jobs, candidates, start=None):
    """Yields (key, Run) for `candidates`: tuples (key, answers, exercises, cpu_limit_s, stop_early).

    At most `jobs` children run at a time. A child that ends without an answer, or runs too long, has lost all points.
    start: what starts a child for one candidate, Child by default.
    """
    start = start or Child
    seed_generators()  # here, for all children: torch takes milliseconds for it
    for parts in topic.exercises.values():
        for kind in ("test", "hidden"):
            if kind in parts:
                topic.compiled(parts[kind])
    waiting, running = list(reversed(list(candidates))), {}
    with selectors.DefaultSelector() as selector:
        while waiting or running:
            while waiting and len(running) < jobs:
                child = start(topic, *waiting.pop())
                running[child.read_end] = child
                selector.register(child.read_end, selectors.EVENT_READ)
            for key, _ in selector.select(timeout=0.5):
                child = running[key.fd]
                if child.read():
                    continue
                selector.unregister(key.fd)
                del running[key.fd]
                yield child.key, child.result()
            for child in running.values():
                child.enforce_wall_time()


class Child:
    """One forked run. Results come back as JSON through a pipe."""

    def __init__(self, topic, key, answers, exercises, cpu_limit_s, stop_early):
        self.topic, self.key, self.exercises = topic, key, exercises
        self.cpu_limit_s = cpu_limit_s
        self.deadline = time.monotonic() + 6 * cpu_limit_s + 10
        self.received = b""
        self.read_end, write_end = os.pipe()
        self.pid = os.fork()
        if self.pid == 0:
            os.close(self.read_end)
            with contextlib.suppress(BaseException):
                self.work(write_end, answers, stop_early)
            os._exit(0)
        os.close(write_end)

    def work(self, write_end, answers, stop_early):
        limit_this_process(self.cpu_limit_s)
        with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
            start, known = time.process_time(), set(sys.modules)
            reasons = self.topic.run(answers, self.exercises, stop_early)
            cpu_s = time.process_time() - start
            answer = {
                "reasons": reasons,
                "cpu_s": cpu_s,
                "imported": [name for name in sys.modules if name not in known],
            }
        with os.fdopen(write_end, "wb") as pipe:
            pipe.write(json.dumps(answer).encode())

    def read(self):
        """Takes what has come; False at the end."""
        chunk = os.read(self.read_end, 1 << 16)
        self.received += chunk
        return bool(chunk)

    def enforce_wall_time(self):
        if time.monotonic() > self.deadline:
            os.kill(self.pid, signal.SIGKILL)

    def result(self):
        os.close(self.read_end)
        _, status = os.waitpid(self.pid, 0)
        try:
            answer = json.loads(self.received)
        except ValueError:
            killed = os.WTERMSIG(status) if os.WIFSIGNALED(status) else 0
            late = killed in (signal.SIGPROF, signal.SIGXCPU, signal.SIGKILL)
            why = f"ran longer than {self.cpu_limit_s:g} s" if late else f"ended the process (signal {killed})"
            answer = {"reasons": {}, "cpu_s": float(self.cpu_limit_s)}
        else:
            why = "not run"
        points, reasons = {}, {}
        for name in self.exercises:
            for kind in ("test", "hidden"):
                if kind in self.topic.exercises[name]:
                    grade_id = f"{kind}_{name}"
                    reasons[grade_id] = answer["reasons"].get(grade_id, why)
                    worth = self.topic.exercises[name][kind].options["points"]
                    points[grade_id] = 0 if reasons[grade_id] else worth
        return Run(points, reasons, answer["cpu_s"], tuple(answer.get("imported", ())))
