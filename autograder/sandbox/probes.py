"""Programs that break what the jail promises, for doctor.py: the promises on what a submission may use and leave."""

import contextlib
import os
import sys
import tempfile
import time
import uuid
from dataclasses import dataclass
from pathlib import Path

from jupyter_client.manager import AsyncKernelManager
from nbclient import NotebookClient
from nbformat.v4 import new_code_cell, new_notebook
from traitlets.config import Config

from . import cells, forks, modes, provisioner, warden

MIB = 1 << 20
HOLD = "import time; time.sleep(60)"
TOGETHER = """
import os, time
for _ in range(6):
    if os.fork() == 0:
        kept = bytearray(60 << 20)
        for i in range(0, len(kept), 4096): kept[i] = 1
        time.sleep(60)
time.sleep(60)
"""
SPIN = "while True: pass"
FORKS = """
import os, time
made = 0
try:
    while True:
        if os.fork() == 0: time.sleep(60)
        made += 1
except OSError:
    print(made)
"""
ALLOCATE = """
import mmap
def size_of_most(kind, most=4096):
    kept = []
    try:
        while len(kept) < most // 16:
            kept.append(kind())
    except (MemoryError, OSError):
        pass
    return 16 * len(kept)
print(size_of_most(lambda: bytearray(16 << 20)))
"""
FILL = """
import os, sys, time
def fill(folder):
    written = 0
    try:
        for number in range(64):
            with open(os.path.join(folder, f"f{number}"), "wb") as file:
                for _ in range(4): written += file.write(bytes(1 << 20))
    except OSError:
        pass
    return written >> 20
print(fill(os.getcwd()), fill(os.environ["TMPDIR"]), flush=True)
time.sleep(2)
"""
BIG_FILE = """
written = 0
try:
    with open("big", "wb", buffering=0) as file:
        while written < 64 << 20: written += file.write(bytes(1 << 20))
except OSError:
    pass
print(written >> 20)
"""
OPEN_FILES = """
kept = []
try:
    while len(kept) < 5000: kept.append(open("/dev/null"))
except OSError:
    pass
print(len(kept))
"""
FLOOD = """
import os
for _ in range(64): os.write(2, b"x" * (1 << 20))
"""
DAEMON = """
import os, sys, time
if os.fork() == 0:
    os.setsid()
    if os.fork() == 0:
        os.setsid()
        os.execv(sys.executable, [sys.executable, "-c", "import time; time.sleep(60)", sys.argv[1]])
    os._exit(0)
time.sleep(0.3)
"""
SOCKETS = """
import os, socket, sys, time
while True:
    for number in range(10000):
        try:
            socket.socket(socket.AF_UNIX, socket.SOCK_STREAM).bind(os.path.join(sys.argv[1], str(number)))
        except OSError:
            time.sleep(0.1)
"""
KERNEL = (
    "import numpy, torch, matplotlib.pyplot, tokenizers, mini_engine\nprint(torch.ones(3).sum() + numpy.ones(3).sum())"
)


@dataclass(frozen=True)
class Way:
    """How a jailed program comes to be: started anew, or as a fork of the warm parent."""

    mode: str
    is_forked: bool

    def run(self, *arguments, **options):
        """Like modes.run_in, of this mode."""
        return (forks if self.is_forked else modes).run_in(self.mode, *arguments, **options)

    def __str__(self):
        return "forked" if self.is_forked else "started anew"


def python_in(way, code, limits=None, *arguments, timeout=60):
    return way.run([sys.executable, "-I", "-S", "-c", code, *arguments], limits, timeout)


def number_in(done):
    """What a program printed, as whole numbers."""
    return [int(word) for word in done.stdout.split()]


def try_memory(way):
    limits = cells.Limits(memory_bytes=256 * MIB)
    alone = number_in(python_in(way, ALLOCATE, limits))[0]
    yield alone <= 256, f"one process got {alone} MiB of 256"
    together = python_in(way, TOGETHER, limits).returncode
    yield together == warden.MEMORY, "six processes with 360 MiB were " + ("ended" if together else "left alone")


def try_processor_time(way):
    code = python_in(way, SPIN, cells.Limits(cpu_s=1, wall_s=20)).returncode
    yield code not in (0, warden.WALL), f"an endless loop with 1 s of processor time: exit code {code}"


def try_processes(way):
    done = python_in(way, FORKS, cells.Limits(memory_bytes=16 << 30, num_processes=32, wall_s=30))
    made = number_in(done)
    yield made and made[0] <= 40, f"{made[0] if made else 'too many'} processes of 32"


def try_files(way):
    limits = cells.Limits(file_bytes=8 * MIB, disk_bytes=32 * MIB, num_files=64)
    big = number_in(python_in(way, BIG_FILE, limits))
    yield big == [8], f"a file of {big} MiB, limit 8"
    filled = python_in(way, FILL, limits)
    held = filled.returncode == warden.FILES or all(size <= 32 for size in number_in(filled))
    yield held, f"{filled.stdout.split()} MiB in the two folders, limit 32 each"
    opened = number_in(python_in(way, OPEN_FILES, limits))
    yield opened and opened[0] < 64, f"{opened} files open, limit 64"


def try_output(way):
    done = python_in(way, FLOOD)
    yield done.returncode == 0 and len(done.stderr) < 5000, f"64 MiB of messages, {len(done.stderr)} characters kept"


def try_wall_time(way):
    start = time.monotonic()
    code = python_in(way, HOLD, cells.Limits(wall_s=1)).returncode
    yield code == warden.WALL, f"60 s of sleep with 1 s allowed ended after {time.monotonic() - start:.1f} s"


def try_leftovers(way):
    mark, cell = str(uuid.uuid4()), modes.new_cell()
    way.run([sys.executable, "-I", "-S", "-c", DAEMON, mark], cell=cell)
    left = [path for path in Path("/proc").glob("[0-9]*/cmdline") if mark in read(path)]
    yield not left, f"{len(left)} processes live on" if left else "a process that forked away is dead"
    yield not cell.run.exists(), "the folder is gone" if not cell.run.exists() else f"{cell.run} is left"


def read(path):
    try:
        return path.read_text(errors="replace")
    except OSError:
        return ""


def try_exchange(way):
    cell = modes.new_cell(cells.Limits(wall_s=30))
    done = way.run([sys.executable, "-I", "-S", "-c", SOCKETS, str(cell.exchange)], cell=cell)
    yield done.returncode == warden.FILES, f"sockets without end: exit code {done.returncode}"


def try_kernel(way):
    """A real kernel, started as nbgrader does."""
    provisioner.register()
    notebook = new_notebook(cells=[new_code_cell(KERNEL)])
    start = time.monotonic()
    with tempfile.TemporaryDirectory() as folder, environment(COURSE_JAIL=way.mode):
        client = NotebookClient(
            notebook,
            kernel_name=provisioner.NAME,
            kernel_manager_class=AsyncKernelManager,
            config=Config({"JailProvisioner": {"warm": way.is_forked}}),
            shutdown_kernel="immediate",
            timeout=120,
            resources={"metadata": {"path": folder}},
        )
        try:
            client.execute()
            said = "".join(output.get("text", "") for output in notebook.cells[0].outputs)
            yield "6." in said, f"starts, imports and computes in {time.monotonic() - start:.1f} s"
        except Exception as error:
            yield False, " ".join(str(error).split())[-300:]


@contextlib.contextmanager
def environment(**changes):
    before = dict(os.environ)
    os.environ.update(changes)
    try:
        yield
    finally:
        os.environ.clear()
        os.environ.update(before)


PROBES = {
    "memory": try_memory,
    "processor time": try_processor_time,
    "processes": try_processes,
    "files": try_files,
    "output": try_output,
    "wall time": try_wall_time,
    "leftovers": try_leftovers,
    "exchange, filled": try_exchange,
    "kernel": try_kernel,
}
