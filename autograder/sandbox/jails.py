"""The two jails that Linux can make: what starts a program in one, and the orders for inside.py."""

import os
import platform
import shutil
import sys
from pathlib import Path

from . import landlock
from .places import (
    CPU,
    ETC,
    HERE,
    ROOT,
    SYSTEM,
    everyone_reads,
    inside,
    may_read_all,
    model_folder,
    named_roots,
    private_places,
    python_roots,
)

PYTHON = [sys.executable, "-I", "-S"]
# not net and mounts, which list what is the host's, nor root and cwd, which lead elsewhere
OWN_PROC = "cgroup cmdline comm environ fd fdinfo limits maps smaps stat statm status".split()


def rlimits(limits, more_processes=0):
    """{name of a resource limit: value} for inside.py."""
    return {
        "CPU": limits.cpu_s,
        "DATA": limits.memory_bytes,
        "AS": limits.address_bytes,
        "FSIZE": limits.file_bytes,
        "NOFILE": limits.num_files,
        "NPROC": limits.num_processes + more_processes,
        "CORE": 0,
        "MEMLOCK": 1 << 20,
        "MSGQUEUE": 0,
    }


class Bubblewrap:
    """Namespaces of its own for files, processes, network, IPC: what is not shown does not exist."""

    remedy = (
        "Allow it user namespaces: sysctl kernel.unprivileged_userns_clone=1 (Debian), "
        "kernel.apparmor_restrict_unprivileged_userns=0 (Ubuntu 24.04), in a container "
        "--security-opt seccomp=unconfined; bubblewrap must be 0.7 or newer; or set COURSE_JAIL=landlock"
    )

    @staticmethod
    def missing():
        return "" if shutil.which("bwrap") else "bwrap is not installed: sudo apt-get install bubblewrap"

    @staticmethod
    def inner(cell):
        return {"tmp": "/tmp", "lib": "/course", "model": "/course/model", "sandbox": "/course/sandbox"}

    @staticmethod
    def watched(cell):
        return {}

    @staticmethod
    def plan(cell, command):
        """(what starts inside.py, the orders for it)."""
        limits = cell.limits
        options = ["--unshare-ipc", "--unshare-pid", "--unshare-net", "--unshare-uts", "--unshare-cgroup-try"]
        options += ["--die-with-parent", "--new-session", "--hostname", "jail", "--cap-drop", "ALL"]
        options += ["--unshare-user"] if cell.uid is None else ["--cap-add", "CAP_SETUID", "--cap-add", "CAP_SETGID"]
        options += system_folders()
        for place in ("/tmp", "/dev/shm", "/submission"):
            options += ["--perms", "1777", "--size", str(limits.disk_bytes), "--tmpfs", place]
        for source, target in shown_folders(cell):
            options += [*parents(target), "--ro-bind", source, target]
        options += [*parents(str(cell.exchange)), "--bind", str(cell.exchange), str(cell.exchange)]
        options += ["--remount-ro", "/dev", "--remount-ro", "/"]
        orders = {
            "copy": [["/course/submission", "/submission"], ["/course/start", "/tmp"]],
            "folder": "/submission",
            "limits": rlimits(limits, more_processes=0 if counts_by_namespace() else num_threads_of(os.getuid())),
            "uid": cell.uid,
            "read_all": False,
            "on_host": False,
            "landlock": None,
            "command": command,
        }
        if landlock.version():  # without it the warden alone watches what is written into the exchange
            written = ["/tmp", "/dev/shm", "/submission", "/dev/null", "/dev/zero", "/dev/full", "/dev/pts"]
            orders["landlock"] = {"read": ["/"], "write": written, "sockets": [str(cell.exchange)], "isolate": False}
        return [shutil.which("bwrap"), *options, "--", *PYTHON, "/course/sandbox/inside.py"], orders


class Landlock:
    """No namespaces: rules for files, a filter for calls. What it cannot promise: `python -m autograder doctor`."""

    remedy = "It needs Linux 5.13 or newer with Landlock switched on (landlock in the kernel's lsm= list)"

    @staticmethod
    def missing():
        if not landlock.version():
            return f"the kernel has no Landlock. {Landlock.remedy}"
        shown = [place for place in private_places() if any(inside(str(place), system) for system in SYSTEM)]
        if shown:
            return f"{shown[0]} lies within the system's folders, which the jail must show: move it"
        if os.getuid() == 0 and not everyone_reads(Landlock.shown()) and not may_read_all():
            return "the interpreter's folders are closed to other users: keep the environment out of /root"
        return ""

    @staticmethod
    def shown():
        """The folders and files that may be read, but for those of the cell."""
        model = [str(model_folder())] if model_folder() else []
        own = [str(ROOT / "mini_engine"), str(HERE), *python_roots(), *model]
        system = [*SYSTEM, *ETC, CPU, "/dev/urandom", "/dev/random", "/proc/cpuinfo", "/proc/meminfo", "/proc/stat"]
        return [path for path in own + system if os.path.exists(path)]

    @staticmethod
    def inner(cell):
        places = {name: str(cell.run / letter) for name, letter in (("tmp", "t"), ("lib", "lib"))}
        return places | {"model": str(model_folder() or cell.run / "none"), "sandbox": str(HERE)}

    @staticmethod
    def watched(cell):
        return {str(folder): cell.limits.disk_bytes for folder in (cell.submission, cell.run / "t")}

    @staticmethod
    def plan(cell, command):
        library = cell.run / "lib"
        library.mkdir()
        (library / "mini_engine").symlink_to(ROOT / "mini_engine")
        (library / "sitecustomize.py").symlink_to(HERE / "door.py")
        uid = os.getuid() if cell.uid is None else cell.uid
        written = [*Landlock.watched(cell), "/dev/null", "/dev/zero", "/dev/full"]
        orders = {
            "copy": [],
            "folder": str(cell.submission),
            "limits": rlimits(cell.limits, more_processes=num_threads_of(uid)),
            "uid": cell.uid,
            "read_all": cell.uid is not None and not everyone_reads(Landlock.shown()),
            "on_host": True,
            "landlock": {
                "read": [*Landlock.shown(), str(library), *(f"/proc/self/{name}" for name in OWN_PROC)],
                "listed": ["/proc/self"],
                "write": written,
                "sockets": [str(cell.exchange)],
            },
            "command": command,
        }
        return [*PYTHON, str(HERE / "inside.py")], orders


def system_folders():
    """Options that show the system, read-only, with what is private in it empty."""
    options = []
    for place in SYSTEM:
        if os.path.islink(place):
            options += ["--symlink", os.readlink(place), place]
        elif os.path.isdir(place):
            options += ["--ro-bind", place, place]
    for place in private_places():
        if any(inside(str(place), system) for system in SYSTEM):
            options += ["--size", "65536", "--tmpfs", str(place)]
    for place in ETC:
        options += ["--ro-bind-try", place, place]
    return [*options, "--proc", "/proc", "--dev", "/dev", *parents(CPU), "--ro-bind-try", CPU, CPU]


def shown_folders(cell):
    """[(folder of the host, its name in the jail)]: Python, the engine, the sandbox, the submission, the model."""
    shown = [(root, root) for root in python_roots()]
    for root in sorted(named_roots()):
        real = os.path.realpath(root)
        if real != root and not any(inside(root, target) for _, target in shown):  # reached over a link
            shown.append((real, root))
    shown += [(str(ROOT / "mini_engine"), "/course/mini_engine"), (str(HERE), "/course/sandbox")]
    shown += [(str(cell.submission), "/course/submission"), (str(cell.run / "t"), "/course/start")]
    return shown + ([(str(model_folder()), "/course/model")] if model_folder() else [])


def counts_by_namespace():
    """Whether the kernel counts a user's processes in each user namespace apart (Linux 5.14)."""
    return os.getuid() == 0 or tuple(map(int, platform.release().split(".")[:2])) >= (5, 14)


def num_threads_of(uid):
    """Processes and threads that a user has now: the kernel counts them together with the jail's."""
    count = 0
    for process in Path("/proc").glob("[0-9]*"):
        try:
            if process.stat().st_uid == uid:
                count += len(os.listdir(process / "task"))
        except OSError:
            pass  # it has ended meanwhile
    return count


def parents(path):
    """Options that make the folders above `path`; bubblewrap by itself would make them for its own user only."""
    above = [str(place) for place in reversed(Path(path).parents) if str(place) not in ("/", "/tmp", "/dev", "/usr")]
    return [option for place in above for option in ("--perms", "0755", "--dir", place)]


MODES = {"bubblewrap": Bubblewrap, "landlock": Landlock}
