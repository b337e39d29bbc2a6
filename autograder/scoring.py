"""Scores answers by the tests of their script, each in a forked child with limits; nothing here knows nbgrader.

The parent imports what the topic imports once and runs its set-up cells; a child costs milliseconds.
"""

import ast
import contextlib
import importlib
import io
import json
import os
import re
import resource
import selectors
import signal
import time
from dataclasses import dataclass

from autograder.assignment.cells import names_given

MEMORY_BYTES = 4 << 30  # above what the parent has mapped already


@dataclass
class Run:
    """What one candidate got: points per grade_id, and why it lost some ("" where it did not)."""

    points: dict
    reasons: dict
    cpu_s: float = 0.0

    @property
    def total(self):
        return sum(self.points.values())


class Topic:
    """A script's cells, ready to score: `exercises` is {name: {part: Cell}} in order."""

    def __init__(self, name, cells, other_sources=()):
        self.name = name
        self.setup = [cell.source for cell in cells if cell.kind == "setup"]
        self.exercises = {}
        for cell in cells:
            if cell.kind in ("task", "solution", "test", "hidden"):
                self.exercises.setdefault(cell.name, {})[cell.kind] = cell
        self.reference = {
            exercise: compile(parts["solution"].source, f"<{exercise}>", "exec")
            for exercise, parts in self.exercises.items()
        }
        self.names = {name: names_given(parts["solution"].source) for name, parts in self.exercises.items()}
        self.namespace = {"__name__": "__main__"}
        preload([cell.source for cell in cells if not cell.is_markdown] + list(other_sources))
        for source in self.setup:
            exec(compile(source, f"<set-up of {name}>", "exec"), self.namespace)
        self.shared = {key: value for key, value in self.namespace.items() if not key.startswith("__")}

    def full(self, exercise):
        """The points of an exercise."""
        return sum(self.exercises[exercise][kind].options["points"] for kind in ("test", "hidden"))

    def run(self, answers, exercises, stop_early=False):
        """{grade_id: reason} of the tests of `exercises`, in this process, with `answers` {name: source} in place.

        Answers not given are the reference's. An error while a cell is defined is a reason for its own tests.
        """
        (space, broken), reasons = self.define(answers), {}
        for name in exercises:
            for kind in ("test", "hidden"):
                if kind in self.exercises[name]:
                    reason = broken.get(name) or self.run_test(self.exercises[name][kind], space)
                    reasons[f"{kind}_{name}"] = reason
                    if reason and stop_early:
                        return reasons
        return reasons

    def define(self, answers):
        """(namespace, {name: reason}): every solution cell run after the set-up, and why some could not be."""
        space, broken = dict(self.namespace), {}
        for name, reference in self.reference.items():
            try:
                exec(compile(answers[name], f"<{name}>", "exec") if name in answers else reference, space)
            except BaseException as error:
                broken[name] = describe(error)
        return space, broken

    def run_test(self, cell, answers):
        """The reason why a test cell fails, "" when it passes. Its names are not the student's, nor the other way."""
        space = {"__name__": "__test__", **self.shared}
        # nothing but what the rules of a test cell allow, see autograder/assignment/script.py
        lead_in = self.exercises[cell.name]["task"].source
        for exercise, names in self.names.items():
            for name in names:
                if exercise == cell.name or re.search(rf"\b{name}\b", lead_in):
                    if name in answers:
                        space[name] = answers[name]
                    else:
                        space.pop(name, None)
        try:
            exec(compile(cell.source, f"<{cell.grade_id}>", "exec"), space)
        except BaseException as error:
            return describe(error)
        return ""


def describe(error):
    return f"{type(error).__name__}: {error}"[:2000]


def preload(sources):
    """Imports what the sources import, so that the children find it done."""
    wanted = set()
    for source in sources:
        try:
            tree = ast.parse(source)
        except SyntaxError:
            continue
        for node in ast.walk(tree):
            if isinstance(node, ast.Import):
                wanted |= {alias.name for alias in node.names}
            elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
                wanted.add(node.module)
    os.environ.setdefault("MPLBACKEND", "agg")
    for name in sorted(wanted):
        with contextlib.suppress(Exception):
            importlib.import_module(name)
    if "torch" in wanted:
        importlib.import_module("torch").set_num_threads(1)


def score_all(topic, jobs, candidates, start=None):
    """Yields (key, Run) for `candidates`: tuples (key, answers, exercises, cpu_limit_s, stop_early).

    At most `jobs` children run at a time. A child that ends without an answer, or runs too long, has lost all points.
    start: what starts a child for one candidate, Child by default.
    """
    start = start or Child
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
            start = time.process_time()
            reasons = self.topic.run(answers, self.exercises, stop_early)
            answer = {"reasons": reasons, "cpu_s": time.process_time() - start}
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
        return Run(points, reasons, answer["cpu_s"])


def limit_this_process(cpu_limit_s, memory_bytes=MEMORY_BYTES):
    """Processor time, memory, no core file; output is swallowed at the file descriptors too."""
    null = os.open(os.devnull, os.O_RDWR)
    for stream in (0, 1, 2):
        os.dup2(null, stream)
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    signal.signal(signal.SIGPROF, signal.SIG_DFL)
    signal.setitimer(signal.ITIMER_PROF, cpu_limit_s)  # finer than RLIMIT_CPU, which counts whole seconds
    resource.setrlimit(resource.RLIMIT_CPU, (round(cpu_limit_s) + 2, round(cpu_limit_s) + 3))
    try:
        with open("/proc/self/statm") as statm:
            mapped = int(statm.read().split()[0]) * resource.getpagesize()
    except OSError:  # not Linux: the time limit still holds
        return
    resource.setrlimit(resource.RLIMIT_AS, (mapped + memory_bytes, mapped + memory_bytes))
