"""Runs in the student's process: serves the student's objects to the tester until it has no more questions.

It is sent as text with every request, see package.py, and needs Python and NumPy only. Whatever a student
does to it, it can only answer questions: the tests, what they expect and the comparison are not here.
"""

import contextlib
import socket
import tracemalloc
import warnings

import numpy as np

from .peer import Ended, Peer
from .remote import Hub
from .wire import Channel, WireError


class AgentPeer(Peer):
    """The student's end: looks names up, and measures memory where a test asks for it."""

    def __init__(self, channel, hub, namespace):
        super().__init__(channel, hub)
        self.namespace = namespace

    def find(self, name):
        """The student's object of that name in a list, or an empty list."""
        return (self.namespace[name],) if name in self.namespace else ()

    @contextlib.contextmanager
    def surroundings(self, frame):
        """The caller's handling of NumPy's errors and of warnings; where asked, the memory is measured for `memory`."""
        with contextlib.ExitStack() as stack:
            if "np" in frame:
                stack.enter_context(np.errstate(**frame["np"]))
            if "warn" in frame:
                stack.enter_context(warnings.catch_warnings())
                warnings.simplefilter(frame["warn"])
            if not frame.get("trace"):
                yield
                return
            if not tracemalloc.is_tracing():
                tracemalloc.start()
                self.start, self.peak = tracemalloc.get_traced_memory()[0], 0
            before = tracemalloc.get_traced_memory()[0]
            tracemalloc.reset_peak()
            try:
                yield
            finally:
                self.peak = max(self.peak, tracemalloc.get_traced_memory()[1] - before)

    def perform(self, frame):
        if frame.get("op") != "memory":
            return super().perform(frame)
        if not tracemalloc.is_tracing():
            return (0, 0)
        now = tracemalloc.get_traced_memory()[0] - self.start
        if frame.get("stop"):
            tracemalloc.stop()
        return (now, max(now, self.peak))


class Nowhere:
    """Takes what is printed while a test runs."""

    encoding = "utf-8"

    def write(self, text):
        return len(text)

    def flush(self):
        pass


def serve(path, namespace):
    """Answers the tester that listens at `path` until it says that it is done, or is gone."""

    def connect():
        sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        sock.connect(path)
        peer = AgentPeer(Channel(sock), hub, namespace)
        threads.append(sock)
        return peer

    threads = []
    hub = Hub(is_trusted=False, connect=connect)
    nowhere = Nowhere()
    with contextlib.redirect_stdout(nowhere), contextlib.redirect_stderr(nowhere):
        try:
            hub.peer().listen()
        except (Ended, WireError, OSError, KeyboardInterrupt):
            pass  # the tester has ended, or was stopped
        finally:
            tracemalloc.stop()
            for sock in threads:
                sock.close()
