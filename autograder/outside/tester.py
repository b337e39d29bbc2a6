"""Runs test cells in a child of the grader, against objects that stay in the student's process.

The child is confined (sandbox/confine.py) before it accepts the first byte of the student's.
"""

import contextlib
import gc
import io
import json
import os
import signal
import socket
import threading
import time
import tracemalloc

from autograder.sandbox import confine, modes
from autograder.scoring import limit_this_process

from . import shaders
from .policy import TesterHub, TesterPeer
from .wire import Channel

CONNECT_S = 20
MAX_OUTPUT_CHARS = 10_000
MAX_MESSAGE_CHARS = 4_000
MAX_FILES = 1 << 16
MEMORY_BYTES = 2 << 30  # above what the grader has mapped already
NOT_CONFINED, NO_DEVICE = "not confined", "no device"
GONE = "your notebook's process did not answer as it should: it ended, was stopped, or wrote to the tester's connection"


class Answers:
    """The student's names, asked for when a test needs them."""

    def __init__(self, peer):
        self.peer, self.found = peer, {}

    def __contains__(self, name):
        if name not in self.found:
            self.found[name] = self.peer.ask({"op": "find", "name": name})
            for value in self.found[name]:
                if self.peer.hub.is_remote(value):
                    self.peer.hub.tried.names[object.__getattribute__(value, "__dict__")["number"]] = name
        return bool(self.found[name])

    def __getitem__(self, name):
        return self.found[name][0]


def trace_in_student(hub, peer):
    """tracemalloc in a test cell means the student's process: there the function under test allocates."""

    def start(nframe=1):
        hub.trace = True

    def get_traced_memory():
        current, peak = peer.ask({"op": "memory"})
        return int(current), int(peak)

    def stop():
        if hub.trace:
            peer.ask({"op": "memory", "stop": True})
        hub.trace = False

    tracemalloc.start, tracemalloc.stop, tracemalloc.get_traced_memory = start, stop, get_traced_memory


def run_cells(topic, cells, listener):
    """Yields (grade_id, reason, output, what was tried) of test cells; the student's agent connects to the listener."""
    listener.settimeout(CONNECT_S)
    sock, _ = listener.accept()
    sock.settimeout(None)
    listener.settimeout(None)
    hub = TesterHub(listener)
    peer = hub.local.peer = TesterPeer(Channel(sock), hub)
    threading.Thread(target=hub.take_threads, daemon=True).start()
    trace_in_student(hub, peer)
    answers = Answers(peer)
    for cell in cells:
        output = io.StringIO()
        hub.tried.start()
        with contextlib.redirect_stdout(output), contextlib.redirect_stderr(io.StringIO()):
            reason = topic.run_test(cell, answers)
        if peer.broken:
            reason = f"StudentProcessError: {GONE} ({peer.broken})"
        tried = "" if peer.broken else hub.tried.sentence(reason)
        yield cell.grade_id, reason[:MAX_MESSAGE_CHARS], output.getvalue()[:MAX_OUTPUT_CHARS], tried
    with contextlib.suppress(Exception):
        peer.send({"op": "end"}, dict)


class Tester:
    """A child that runs test cells; a line of JSON for each comes through a pipe. The agent connects to `path`.

    limit_s: for each cell. confined: False only where whoever answers is trusted as the grader is.
    """

    def __init__(self, topic, cells, path, limit_s, confined):
        self.topic, self.cells, self.path, self.limit_s = topic, cells, str(path), limit_s
        if confined:
            confine.readable()  # known before the fork, so that it is found out once
        self.confined = confined
        self.received, self.was_late = b"", False
        self.deadline = time.monotonic() + limit_s
        listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        before = os.umask(0o111)  # the student may be another user, who could put a link there before a chmod
        listener.bind(self.path)
        os.umask(before)
        listener.listen(64)
        self.read_end, write_end = os.pipe()
        self.pid = os.fork()
        if self.pid == 0:
            os.close(self.read_end)
            with contextlib.suppress(BaseException):
                self.work(listener, write_end)
            os._exit(0)
        os.close(write_end)
        listener.close()

    def work(self, listener, write_end):
        gc.freeze()  # what the grader made is not for this child to clean up
        first, second = sorted((listener.fileno(), write_end))
        for start, end in ((3, first), (first + 1, second), (second + 1, MAX_FILES)):
            os.closerange(start, end)  # the gradebook, the kernel's sockets
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        limit_this_process(self.limit_s * len(self.cells), MEMORY_BYTES)
        with os.fdopen(write_end, "wb") as pipe:
            try:
                if shaders.wanted(self.topic):
                    worker = shaders.connection(self.confined)
                    shaders.install(shaders.RemoteDevice(lambda: worker))
                if self.confined:
                    confine.enter()
            except Exception as error:
                pipe.write(json.dumps([NOT_CONFINED, f"{type(error).__name__}: {error}", "", ""]).encode() + b"\n")
                return
            for line in run_cells(self.topic, self.cells, listener):
                if shaders.installed.missing:
                    line = NO_DEVICE, shaders.installed.missing, "", ""
                pipe.write(json.dumps(line).encode() + b"\n")
                pipe.flush()

    def read(self):
        """Takes what has come; False at the end."""
        chunk = os.read(self.read_end, 1 << 16)
        self.received += chunk
        if b"\n" in chunk:
            self.deadline = time.monotonic() + self.limit_s
        return bool(chunk)

    def kill(self):
        self.was_late = self.is_late()
        with contextlib.suppress(ProcessLookupError):
            os.kill(self.pid, signal.SIGKILL)

    def is_late(self):
        return time.monotonic() > self.deadline

    def result(self):
        """{grade_id: [reason, output, what was tried]} of the cells that ran, and of the one that the child ended in.

        Raises NoJail where the child could not be confined: that is no fault of the student's.
        """
        os.close(self.read_end)
        _, status = os.waitpid(self.pid, 0)
        with contextlib.suppress(OSError):
            os.unlink(self.path)
        found = {}
        with contextlib.suppress(ValueError):  # the last line is not whole
            for line in self.received.splitlines():
                name, *result = json.loads(line)
                found[name] = result
        if NO_DEVICE in found:
            raise modes.NoJail(f"{found[NO_DEVICE][0]}, so nothing is graded: {shaders.PACKAGES}")
        if NOT_CONFINED in found:
            raise modes.NoJail(f"the tester is not confined, so nothing is graded: {found[NOT_CONFINED][0]}")
        for cell in self.cells:
            if cell.grade_id not in found:
                found[cell.grade_id] = [self.why_ended(status), "", ""]
                break
        return found

    def why_ended(self, status):
        killed = os.WTERMSIG(status) if os.WIFSIGNALED(status) else 0
        self.was_late |= killed in (signal.SIGPROF, signal.SIGXCPU)
        if self.was_late:
            return f"TimeoutError: this test ran longer than {self.limit_s:g} s"
        return f"StudentProcessError: {GONE}"
