"""What attempts.py tries to reach, for doctor.py."""

import contextlib
import os
import socket
import subprocess
import sys
import tempfile
import uuid
from pathlib import Path

from . import modes, places
from .probes import HOLD


@contextlib.contextmanager
def targets(cell):
    """What attempts.py tries to reach, made on the host for the time of the probe."""
    read_only = ["/", "/usr", "/dev", "/proc", sys.prefix, str(places.ROOT / "mini_engine"), "/course"]
    with tempfile.TemporaryDirectory() as folder, contextlib.ExitStack() as stack:
        canary = Path(folder, "secret.txt")
        canary.write_text("another student's work")
        os.chmod(folder, 0o777)

        def listen(family, kind, address):
            server = stack.enter_context(socket.socket(family, kind))
            server.bind(address)
            if kind == socket.SOCK_STREAM:
                server.listen()
            if isinstance(address, str) and address[0] == "/":
                os.chmod(address, 0o777)
            return server.getsockname()

        victim = stack.enter_context(subprocess.Popen([sys.executable, "-I", "-S", "-c", HOLD]))
        stack.callback(victim.kill)
        abstract = f"doctor-{uuid.uuid4()}"
        listen(socket.AF_UNIX, socket.SOCK_STREAM, "\0" + abstract)
        yield {
            "tcp": listen(socket.AF_INET, socket.SOCK_STREAM, ("127.0.0.1", 0)),
            "abstract": abstract,
            "socket": listen(socket.AF_UNIX, socket.SOCK_STREAM, f"{folder}/stream"),
            "datagrams": listen(socket.AF_UNIX, socket.SOCK_DGRAM, f"{folder}/datagram"),
            "secrets": [str(canary), f"{folder}/", "/etc/shadow", *secrets()],
            "read_only": [*read_only, folder],
            "victim": victim.pid,
            "exchange": str(cell.exchange),
        }


def secrets():
    """Files and folders of the course and of people's homes; a folder that leads to the interpreter is not one."""
    shown = [*places.python_roots(), str(places.ROOT / "mini_engine"), str(modes.HERE)]
    shown += filter(None, [places.model_folder()])
    for place in places.private_places():
        try:
            entries = sorted(place.iterdir())
        except OSError:
            continue  # closed to the grader too
        for entry in entries[:40]:
            if not any(Path(root).is_relative_to(entry) for root in shown):
                yield f"{entry}/" if entry.is_dir() else str(entry)
    yield str(places.ROOT / "autograder" / "nbgrader_config.py")
