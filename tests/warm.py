"""Commands of Python in forks of one process that has loaded the libraries, whose import costs each start seconds.

run() takes the place of subprocess.run, for nbgrader's commands above all: each still has a process, an environment
and a folder of its own, and loads everything of this repository itself.
"""

import atexit
import contextlib
import functools
import gc
import importlib
import json
import os
import runpy
import signal
import subprocess
import sys
import tempfile
import threading

LIBRARIES = ("nbgrader.apps.nbgraderapp", "nbgrader.converters.generate_assignment", "numpy", "torch", "wgpu")


class Parent:
    """The process that forks; it ends with this one, when its standard input does."""

    def __init__(self):
        environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
        self.process = subprocess.Popen(
            [sys.executable, __file__],
            env=environment | {"OMP_NUM_THREADS": "1"},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        self.lock = threading.Lock()
        atexit.register(self.process.communicate)

    def run(self, **orders):
        """The exit code of `python WORDS`, as become() takes them."""
        with self.lock:
            self.process.stdin.write(json.dumps(orders) + "\n")
            self.process.stdin.flush()
            return int(self.process.stdout.readline())


@functools.cache
def parent():
    return Parent()


def run(command, cwd, env, timeout=0, **options):
    """The CompletedProcess, with its text, of `python -c`, `python -m` or `python FILE`, which ends by then."""
    assert command[0] == sys.executable and options == WITH_TEXT, (command, options)
    with tempfile.NamedTemporaryFile("r") as out, tempfile.NamedTemporaryFile("r") as err:
        words, outputs = [str(word) for word in command[1:]], [out.name, err.name]
        code = parent().run(words=words, folder=str(cwd), environment=env, outputs=outputs, timeout=timeout)
        return subprocess.CompletedProcess(command, code, out.read(), err.read())


WITH_TEXT = {"capture_output": True, "text": True}


def serve():
    """Forks for every line of the standard input; returns the orders in the child, None at the end in the parent."""
    sys.modules["rfc3987_syntax"] = None  # as autograder.grading does
    for name in LIBRARIES:
        with contextlib.suppress(ImportError, OSError):  # then the command says so itself
            importlib.import_module(name)
    if len(os.listdir("/proc/self/task")) > 1:
        sys.exit("what is loaded has started threads, which a fork would lose")
    gc.collect()
    gc.freeze()  # a child's collector leaves these pages shared
    answers = os.fdopen(os.dup(1), "w")
    for line in sys.stdin:
        pid = os.fork()
        if pid == 0:
            answers.close()
            return json.loads(line)
        _, status = os.waitpid(pid, 0)
        print(os.waitstatus_to_exitcode(status), file=answers, flush=True)
    return None


def become(orders):
    """Does here what `python WORDS` would do."""
    signal.alarm(orders["timeout"])  # 0: never
    null = os.open(os.devnull, os.O_RDONLY)
    os.dup2(null, 0)
    for number, path in enumerate(orders["outputs"], 1):
        os.dup2(os.open(path, os.O_WRONLY | os.O_APPEND), number)
    os.environ.clear()
    os.environ.update(orders["environment"])
    os.chdir(orders["folder"])
    option, *rest = orders["words"]
    first = {"-c": "", "-m": os.getcwd()}.get(option, os.path.dirname(option))
    sys.path[:1] = [first, *filter(None, os.environ.get("PYTHONPATH", "").split(os.pathsep))]
    sys.argv = {"-c": ["-c", *rest[1:]], "-m": rest}.get(option, orders["words"])
    if option == "-c":
        exec(compile(rest[0], "<string>", "exec"), {"__name__": "__main__"})
    elif option == "-m":
        runpy.run_module(rest[0], run_name="__main__", alter_sys=True)
    else:
        runpy.run_path(option, run_name="__main__")


if __name__ == "__main__":
    given = serve()
    if given is not None:
        become(given)
