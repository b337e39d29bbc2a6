"""The grader's end of the warm parent (warm.py): one per process that grades, started when its first kernel is.

A message on the parent's socket hands it one end of a new connection. Over that the child's process id comes, the
orders go, then "i" and "k" as for warden.py, and at the end the exit code comes.
"""

import functools
import json
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
from dataclasses import replace
from pathlib import Path

from . import modes

LOST = -signal.SIGKILL  # the exit code where the warden ended without one
START_S = 120  # for a parent to load its modules on a busy machine


class Parent:
    """A process that forks jailed kernels; it ends with this one."""

    def __init__(self):
        cell = modes.new_cell()
        lay_out_start(cell.run / "t")
        environment = modes.jail_environment("landlock", cell)  # whose paths are those of the host
        self.forget = [environment["PYTHONPATH"]]
        self.socket, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with theirs:
            self.process = subprocess.Popen(
                [sys.executable, str(modes.HERE / "warm.py"), str(theirs.fileno()), str(cell.run)],
                env=environment,
                cwd="/",
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                pass_fds=[theirs.fileno()],
                start_new_session=True,
            )

    def fork(self, orders, *streams):
        """A Fork for the orders of modes.warm_orders. Raises OSError where the parent has ended."""
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with theirs:
            socket.send_fds(self.socket, [b"f"], [theirs.fileno(), *streams])
        ours.settimeout(START_S)
        try:
            pid = int(ours.recv(32) or 0)
            if not pid:
                raise OSError("the warm parent of kernels has ended")
            ours.send(json.dumps(orders | {"forget": self.forget}).encode())
        except OSError:
            ours.close()
            raise
        return Fork(ours, pid)

    def close(self):
        self.socket.close()
        self.process.kill()
        self.process.wait()


class Fork:
    """The warden of one submission, like a subprocess.Popen; `connection` also takes "i" and "k"."""

    stdin = stdout = stderr = returncode = None

    def __init__(self, connection, pid):
        self.connection, self.pid = connection, pid

    def poll(self):
        """The exit code, or None."""
        return self.take(0.0)

    def wait(self, timeout=None):
        if self.take(timeout) is None:
            raise subprocess.TimeoutExpired("a jailed process", timeout)
        return self.returncode

    def take(self, timeout):
        if self.returncode is None:
            self.connection.settimeout(timeout)
            try:
                self.returncode = int(self.connection.recv(32) or LOST)
            except (BlockingIOError, TimeoutError):
                return None
            except OSError:
                self.returncode = LOST
            self.connection.close()
        return self.returncode


@functools.cache
def parent():
    """The warm parent of this process."""
    return Parent()


def fork(orders, *streams):
    """A Fork of this process's warm parent, which is started again where it has ended."""
    try:
        return parent().fork(orders, *streams)
    except OSError:
        parent().close()
        parent.cache_clear()
        return parent().fork(orders, *streams)


def run_in(mode, command, limits=None, timeout=60, cell=None):
    """Like modes.run_in, in a fork of the warm parent; the command is one of the interpreter's."""
    cell = cell or modes.new_cell(limits)
    cell.limits = replace(cell.limits, wall_s=min(cell.limits.wall_s, timeout))
    try:
        with tempfile.TemporaryFile("w+") as out, tempfile.TemporaryFile("w+") as err:
            orders = modes.warm_orders(mode, cell, command, keep_output=True)
            code = fork(orders, out.fileno(), err.fileno()).wait(timeout + 30)
            for file in (out, err):
                file.seek(0)
            return subprocess.CompletedProcess(command, code, out.read(), err.read())
    finally:
        modes.remove(cell)


def lay_out_start(folder):
    """What a kernel would make at its start: matplotlib's list of fonts, which takes seconds, and IPython's folder."""
    import matplotlib

    source = Path(matplotlib.get_cachedir())
    if not list(source.glob("fontlist-*.json")):
        import matplotlib.font_manager  # noqa: F401 (writes the list)
    (folder / "matplotlib").mkdir()
    for path in source.glob("fontlist-*.json"):
        shutil.copyfile(path, folder / "matplotlib" / path.name)
    startup = folder / "ipython" / "profile_default" / "startup"
    startup.mkdir(parents=True)
    (startup / "README").write_text("")
