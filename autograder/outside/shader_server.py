"""One worker for all children of an audit: a device is opened once, and again after a kernel that has ended one."""

import contextlib
import ctypes
import os
import signal
import socket
import tempfile

from . import shaders


@contextlib.contextmanager
def served(is_wanted):
    """While the block runs, this process and its children open a device that one worker at a time serves.

    For answers that are trusted: the worker is not confined, and one answer's follows another's.
    """
    if not is_wanted:
        yield
        return
    stock = shaders.webgpu.open_device
    with tempfile.TemporaryDirectory(prefix="shaders-") as folder, socket.socket(socket.AF_UNIX) as listener:
        path = os.path.join(folder, "s")
        listener.bind(path)
        listener.listen(64)
        keeper = os.fork()
        if keeper == 0:
            with contextlib.suppress(BaseException):
                keep_serving(listener)
            os._exit(0)

        def connect():
            connection = socket.socket(socket.AF_UNIX)
            connection.connect(path)
            return connection

        try:
            shaders.install(shaders.RemoteDevice(connect))
            yield
        finally:
            shaders.webgpu.open_device, shaders.installed.connect = stock, None
            os.killpg(keeper, signal.SIGKILL)
            os.waitpid(keeper, 0)


def keep_serving(listener):
    """Forks a worker, and another whenever one has ended; the group that it makes is killed as one."""
    os.setpgid(0, 0)
    shaders.settle()
    while True:
        child = os.fork()
        if child == 0:
            ctypes.CDLL(None).prctl(shaders.PDEATHSIG, signal.SIGKILL, 0, 0, 0)
            while shaders.serve(listener.accept()[0]):
                pass
            os._exit(0)
        os.waitpid(child, 0)
