"""An assignment, ready to be tested: its set-up run once, test cells run against answers; nothing here knows nbgrader.

The auditor scores answers by it, and the tester process the students' (autograder/outside).
"""

import ast
import contextlib
import importlib
import os
import random
import resource
import signal
import sys

from autograder.assignment.cells import names_given
from autograder.assignment.seen import names_seen

MEMORY_BYTES = 4 << 30  # above what the parent has mapped already
LAZY = ("ma", "random", "testing")  # NumPy imports these at their first use: else every child pays for it


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
        self.tests = {}
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
        lead_in = self.exercises[cell.name]["task"].source
        for name in names_seen(cell.name, lead_in, self.names):
            if name in answers:
                space[name] = answers[name]
            else:
                space.pop(name, None)
        try:
            exec(self.compiled(cell), space)
        except BaseException as error:
            return describe(error)
        return ""

    def compiled(self, cell):
        """A test cell's code, compiled once; where a parent asks first, its children find it done."""
        if cell.source not in self.tests:
            self.tests[cell.source] = compile(cell.source, f"<{cell.grade_id}>", "exec")
        return self.tests[cell.source]


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
    if "numpy" in sys.modules:
        for name in LAZY:
            importlib.import_module(f"numpy.{name}")
    if "torch" in wanted:
        importlib.import_module("torch").set_num_threads(1)


def seed_generators(seed=0):
    """Seeds the global generators that an answer may draw from, so that no verdict on the audit bank is luck."""
    random.seed(seed)
    for name, function in (("numpy.random", "seed"), ("torch", "manual_seed")):
        if name in sys.modules:
            getattr(sys.modules[name], function)(seed)


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
