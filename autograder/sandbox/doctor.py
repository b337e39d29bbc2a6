"""python -m autograder doctor: what the jail promises, tried on this machine, with the mend for what it cannot keep.

Every promise is broken on purpose, from within the jail, by attempts.py and by the programs below.
"""

import contextlib
import json
import os
import platform
import socket
import subprocess
import sys
import tempfile
import time
import uuid
from dataclasses import dataclass
from pathlib import Path

from . import landlock, modes, warden

MIB = 1 << 20
NOT_GIVEN = {
    "bubblewrap": [
        "the kernel is shared: a hole in Linux itself is a hole in the jail, so keep it up to date",
        "memory at the instant: each process has its limit, but all together are counted five times a second",
    ],
    "landlock": [
        "as for bubblewrap: the kernel is shared, and memory counted five times a second",
        "names: that a path exists, and how big it is, can be asked of a file that cannot be opened",
        "disk: the notebook's folder is on the host's disk, watched five times a second; bubblewrap's is in memory",
        "comfort: no /tmp, /dev/shm, terminals, chmod or shutil.copy, so no locks of multiprocessing and no `!command`",
        "before Linux 6.12 (Landlock 6): a submission cannot send signals to processes that it starts itself",
    ],
    "trusted": ["anything: a submission can do whatever you can"],
}
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


@dataclass
class Finding:
    """One promise: whether it holds, and what was found."""

    promise: str
    holds: bool
    found: str


def python_in(mode, code, limits=None, *arguments, timeout=60):
    return modes.run_in(mode, [sys.executable, "-I", "-S", "-c", code, *arguments], limits, timeout)


def number_in(done):
    """What a program printed, as whole numbers."""
    return [int(word) for word in done.stdout.split()]


def try_memory(mode):
    limits = modes.Limits(memory_bytes=256 * MIB)
    alone = number_in(python_in(mode, ALLOCATE, limits))[0]
    yield alone <= 256, f"one process got {alone} MiB of 256"
    together = python_in(mode, TOGETHER, limits).returncode
    yield together == warden.MEMORY, "six processes with 360 MiB were " + ("ended" if together else "left alone")


def try_processor_time(mode):
    code = python_in(mode, SPIN, modes.Limits(cpu_s=1, wall_s=20)).returncode
    yield code not in (0, warden.WALL), f"an endless loop with 1 s of processor time: exit code {code}"


def try_processes(mode):
    done = python_in(mode, FORKS, modes.Limits(num_processes=32, wall_s=30))
    made = number_in(done)
    yield made and made[0] <= 40, f"{made[0] if made else 'too many'} processes of 32"


def try_files(mode):
    limits = modes.Limits(file_bytes=8 * MIB, disk_bytes=32 * MIB, num_files=64)
    big = number_in(python_in(mode, BIG_FILE, limits))
    yield big == [8], f"a file of {big} MiB, limit 8"
    filled = python_in(mode, FILL, limits)
    held = filled.returncode == warden.FILES or all(size <= 32 for size in number_in(filled))
    yield held, f"{filled.stdout.split()} MiB in the two folders, limit 32 each"
    opened = number_in(python_in(mode, OPEN_FILES, limits))
    yield opened and opened[0] < 64, f"{opened} files open, limit 64"


def try_output(mode):
    done = python_in(mode, FLOOD)
    yield done.returncode == 0 and len(done.stderr) < 5000, f"64 MiB of messages, {len(done.stderr)} characters kept"


def try_wall_time(mode):
    start = time.monotonic()
    code = python_in(mode, HOLD, modes.Limits(wall_s=1)).returncode
    yield code == warden.WALL, f"60 s of sleep with 1 s allowed ended after {time.monotonic() - start:.1f} s"


def try_leftovers(mode):
    mark, cell = str(uuid.uuid4()), modes.new_cell()
    modes.run_in(mode, [sys.executable, "-I", "-S", "-c", DAEMON, mark], cell=cell)
    left = [path for path in Path("/proc").glob("[0-9]*/cmdline") if mark in read(path)]
    yield not left, f"{len(left)} processes live on" if left else "a process that forked away is dead"
    yield not cell.run.exists(), "the folder is gone" if not cell.run.exists() else f"{cell.run} is left"


def read(path):
    try:
        return path.read_text(errors="replace")
    except OSError:
        return ""


def try_exchange(mode):
    cell = modes.new_cell(modes.Limits(wall_s=30))
    done = modes.run_in(mode, [sys.executable, "-I", "-S", "-c", SOCKETS, str(cell.exchange)], cell=cell)
    yield done.returncode == warden.FILES, f"sockets without end: exit code {done.returncode}"


def try_kernel(mode):
    """A real kernel, started as nbgrader does."""
    from jupyter_client.manager import AsyncKernelManager
    from nbclient import NotebookClient
    from nbformat.v4 import new_code_cell, new_notebook

    from . import provisioner

    provisioner.register()
    notebook = new_notebook(cells=[new_code_cell(KERNEL)])
    start = time.monotonic()
    with tempfile.TemporaryDirectory() as folder, environment(COURSE_JAIL=mode):
        client = NotebookClient(
            notebook,
            kernel_name=provisioner.NAME,
            kernel_manager_class=AsyncKernelManager,
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


@contextlib.contextmanager
def targets(cell):
    """What attempts.py tries to reach, made on the host for the time of the probe."""
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
            "read_only": ["/", "/usr", "/dev", "/proc", sys.prefix, str(modes.ROOT / "mini_engine"), "/course", folder],
            "victim": victim.pid,
            "exchange": str(cell.exchange),
        }


def secrets():
    """Files and folders of the course and of people's homes; a folder that leads to the interpreter is not one."""
    shown = [*modes.python_roots(), str(modes.ROOT / "mini_engine"), str(modes.HERE)]
    for place in modes.private_places():
        try:
            entries = sorted(place.iterdir())
        except OSError:
            continue  # closed to the grader too
        for entry in entries[:40]:
            if not any(Path(root).is_relative_to(entry) for root in shown):
                yield f"{entry}/" if entry.is_dir() else str(entry)
    yield str(modes.ROOT / "autograder" / "nbgrader_config.py")


def try_attempts(mode):
    """Yields the findings of attempts.py, all from one start of the jail."""
    cell = modes.new_cell()
    with environment(NBGRADER_DB_URL="postgresql://someone:password@host/gradebook"), targets(cell) as told:
        script = modes.MODES[mode].inner(cell)["sandbox"] + "/attempts.py"
        done = modes.run_in(mode, [sys.executable, "-I", "-S", script, json.dumps(told)], cell=cell)
    try:
        results = json.loads(done.stdout)
    except ValueError:
        results = {"attempts": [f"the probe itself failed: {done.stderr.strip()[-300:]}"]}
    for promise, broken in results.items():
        yield Finding(promise, not broken, "; ".join(broken) or "every attempt was refused")


def try_tester(mode):
    """Yields the findings about the tester, the same beside either jail."""
    from autograder.outside import probe

    cell = modes.new_cell()
    try:
        with environment(NBGRADER_DB_URL="postgresql://someone:password@host/gradebook"), targets(cell) as told:
            for promise, broken in probe.results(told).items():
                yield Finding(promise, not broken, broken or "every attempt was refused")
    finally:
        modes.remove(cell)


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


def examine(mode):
    """Yields a Finding for each promise of a mode, the first being whether there is such a jail at all."""
    why = modes.objection(mode) or modes.objection_to_tester()
    yield Finding("jail", not why, why or "a probe ran in it")
    if why:
        return
    yield from try_attempts(mode)
    yield from try_tester(mode)
    for promise, probe in PROBES.items():
        try:
            parts = list(probe(mode))
        except (OSError, RuntimeError, ValueError, IndexError, subprocess.TimeoutExpired) as error:
            parts = [(False, f"the probe itself failed: {error}")]
        yield Finding(promise, all(holds for holds, _ in parts), "; ".join(found for _, found in parts))


def add_arguments(parser):
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    parser.add_argument("--mode", choices=[*modes.MODES], help="try this jail only, as if COURSE_JAIL asked for it")


def run(args):
    """Prints what holds; 0 where the mode that grading would use, or that was named, keeps all its promises."""
    if args.mode:
        os.environ["COURSE_JAIL"] = args.mode
    try:
        mode, refusal = modes.require(), ""
    except modes.NoJail as error:
        mode, refusal = None, str(error)
    report = {"mode": mode, "refusal": refusal, "system": machine(), "jails": {}}
    for name in [args.mode] if args.mode else modes.MODES:
        if not args.json:
            print(f"\n{name}" + (" (grading uses this one)" if name == mode else ""))
        report["jails"][name] = []
        for finding in examine(name):
            report["jails"][name].append(vars(finding))
            if not args.json:
                print(f"  {'yes' if finding.holds else 'NO ':3}  {finding.promise:20} {finding.found}", flush=True)
        if not args.json and report["jails"][name][0]["holds"]:
            print("  not given:", *NOT_GIVEN[name], sep="\n    - ")
    good = mode in report["jails"] and all(finding["holds"] for finding in report["jails"][mode])
    report["holds"] = good
    print(json.dumps(report, indent=1) if args.json else "\n" + verdict(mode, refusal, good))
    return 0 if good else 1


def machine():
    return {
        "kernel": platform.release(),
        "landlock": landlock.version() if platform.system() == "Linux" else 0,
        "user": "root, so each jail gets a user of its own" if modes.own_uid() else "an ordinary user",
    }


def verdict(mode, refusal, good):
    if refusal:
        return refusal
    if mode == "trusted":
        return modes.TRUSTED_WARNING
    return f"nbgrader autograde will use {mode}: " + (
        "it keeps its promises" if good else "NOT all promises hold, see above"
    )
