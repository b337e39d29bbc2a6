"""Which jail this machine can make, and the orders for warden.py and inside.py that make it.

COURSE_JAIL chooses: auto (bubblewrap, else Landlock), bubblewrap, landlock, or trusted, which is no jail at all.
"""

import itertools
import json
import os
import platform
import shutil
import subprocess
import sys
import tempfile
from dataclasses import dataclass, field, replace
from functools import cache
from pathlib import Path

from . import landlock

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent.parent
PYTHON = [sys.executable, "-I", "-S"]
SYSTEM = ["/usr", "/bin", "/sbin", "/lib", "/lib32", "/lib64"]
ETC = ["/etc/ld.so.cache", "/etc/localtime", "/etc/fonts", "/etc/alternatives"]
CPU = "/sys/devices/system/cpu"
OWN_UIDS = 0x70000000  # and up: numbers that no account has
NOBODY = 65534
COUNTER = itertools.count()
TRUSTED_WARNING = (
    "COURSE_JAIL=trusted: students' code runs with your rights, your files and your network. "
    "Grade only people whom you would give your password, or use Linux with bubblewrap."
)


class NoJail(RuntimeError):
    """No jail can be made here as asked; the message is one line that ends with the mend."""


@dataclass
class Limits:
    """What one submission may use, of everything it starts together unless said otherwise."""

    memory_bytes: int = 4 << 30
    address_bytes: int = 16 << 30  # of one process: a build of torch for GPUs maps several GB that it never touches
    cpu_s: int = 600  # of one process
    wall_s: int = 900
    num_processes: int = 64  # and threads
    num_files: int = 256  # open at a time, of one process
    file_bytes: int = 64 << 20
    disk_bytes: int = 256 << 20  # in the notebook's folder, and as much in the folder for temporary files
    exchange_bytes: int = 4 << 20


@dataclass
class Cell:
    """One jail's folders: `run` is removed at its end; `exchange` has the same path within."""

    run: Path
    limits: Limits = field(default_factory=Limits)
    uid: int | None = None  # the user it gets where we are root

    @property
    def exchange(self):
        return self.run / "x"

    @property
    def submission(self):
        return self.run / "w"


def new_cell(limits=None):
    """A Cell with fresh folders; their paths are short, since an address of a unix socket has at most 107 bytes."""
    # not below /tmp, which the jail may write to: Landlock's rules for a folder hold for all below it
    place = "/var/tmp" if os.access("/var/tmp", os.W_OK) else tempfile.gettempdir()
    run = Path(tempfile.mkdtemp(prefix="jail-", dir=place))
    cell = Cell(run, limits or Limits(), own_uid())
    for folder in (cell.exchange, cell.submission, run / "t"):
        folder.mkdir()
    return cell


def chosen():
    """What COURSE_JAIL asks for. Raises NoJail for a word that it does not know."""
    mode = os.environ.get("COURSE_JAIL") or "auto"
    if mode not in ("auto", *MODES, "trusted"):
        raise NoJail(f"COURSE_JAIL={mode} is not known: say auto, bubblewrap, landlock or trusted")
    return mode


def require():
    """The mode that holds: "bubblewrap", "landlock" or "trusted"; a probe has run in it, and one of the tester.

    Raises NoJail, with what is missing and the mend, where nothing that was asked for can be had.
    """
    return tried(chosen())


@cache
def tried(mode):
    if mode == "trusted":
        return mode
    refusals = []
    for name in MODES if mode == "auto" else [mode]:
        why = objection(name) or objection_to_tester()
        if not why:
            return name
        refusals.append(f"{name}: {why}")
    raise NoJail("no jail, so nothing is graded. " + " | ".join(refusals))


def objection(mode):
    """Why this jail cannot be made here, with the mend; "" where a probe has run in it."""
    if platform.system() != "Linux":
        return (
            f"{platform.system()} has none. Grade on Linux (a virtual machine or WSL 2 will do), or set "
            "COURSE_JAIL=trusted, which runs students' code with your rights"
        )
    try:
        problem = MODES[mode].missing()
        if problem:
            return problem
        done = run_in(mode, [sys.executable, "-c", "import zmq, ipykernel"], timeout=60)
    except (OSError, RuntimeError, subprocess.TimeoutExpired) as error:
        return str(error)
    if done.returncode:
        said = " ".join(done.stderr.split())[-300:] or f"exit code {done.returncode}"
        return f"a probe did not run in it ({said}). {MODES[mode].mend}"
    return ""


def objection_to_tester():
    """Why the process that runs the tests cannot be confined here, or ""."""
    from . import confine  # it needs the folders and rights that are named here

    why = confine.objection()
    return why and f"the tester: {why}"


def run_in(mode, command, limits=None, timeout=60, cell=None):
    """Runs a command in a jail as a kernel would run; returns subprocess.CompletedProcess with what it wrote."""
    cell = cell or new_cell(limits)
    cell.limits = replace(cell.limits, wall_s=min(cell.limits.wall_s, timeout))
    control, ours = os.pipe()
    try:
        orders = warden_orders(mode, cell, command, control, keep_output=True)
        return subprocess.run(
            orders,
            env=jail_environment(mode, cell),
            cwd="/",
            pass_fds=[control],
            capture_output=True,
            text=True,
            timeout=timeout + 30,
        )
    finally:
        os.close(ours)
        os.close(control)
        remove(cell)


def remove(cell):
    """Removes a cell's folder; a submission may have nested it deeper than Python can go."""
    subprocess.run(["rm", "-rf", "--", str(cell.run)], check=False)


def warden_orders(mode, cell, command, control, keep_output=False):
    """The command that starts warden.py with everything it must know."""
    program, step = MODES[mode].plan(cell, command)
    orders = watch_orders(mode, cell, keep_output) | {"command": [*program, json.dumps(step)], "control": control}
    return [*PYTHON, str(HERE / "warden.py"), json.dumps(orders)]


def warm_orders(mode, cell, command, keep_output=False):
    """What warm.py must know to make the same of a fork; `command` starts with the interpreter."""
    program, step = MODES[mode].plan(cell, command)
    space = program if MODES[mode] is Bubblewrap else None
    orders = {
        "environment": jail_environment(mode, cell),
        "space": space,
        "holder": step,
        "inside": step | {"copy": []} if space else step,
    }
    return watch_orders(mode, cell, keep_output) | orders | {"namespaced": False}


def watch_orders(mode, cell, keep_output):
    """What the warden does once the kernel runs."""
    jail = MODES[mode]
    if cell.uid is not None:
        give_to_its_user(cell)
    limits = cell.limits
    return {
        "run": str(cell.run),
        "watched": {str(cell.exchange): limits.exchange_bytes} | jail.watched(cell),
        "memory_bytes": limits.memory_bytes,
        "wall_s": limits.wall_s,
        "namespaced": jail is Bubblewrap,
        "door": None if jail is Bubblewrap else str(cell.exchange),
        "keep_output": keep_output,
        "uid": cell.uid if cell.uid != NOBODY else None,
    }


def own_uid():
    """The user that a jail gets where we are root, one of its own if this machine maps it; None where we are not."""
    if platform.system() != "Linux" or os.getuid():
        return None
    wanted = OWN_UIDS + 32 * os.getpid() + next(COUNTER) % 32
    for line in Path("/proc/self/uid_map").read_text().splitlines():
        first, _, count = map(int, line.split())
        if first <= wanted < first + count:
            return wanted
    return NOBODY


def give_to_its_user(cell):
    cell.run.chmod(0o711)
    for folder in (cell.exchange, cell.submission, cell.run / "t"):
        folder.chmod(0o700)
        for parent, _, names in os.walk(folder):
            for path in (parent, *(os.path.join(parent, name) for name in names)):
                os.chown(path, cell.uid, cell.uid)


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


def jail_environment(mode, cell):
    """The whole environment of a jailed kernel: nothing of the grader's that is not named here."""
    inner = MODES[mode].inner(cell)
    kept = {name: os.environ[name] for name in ("LANG", "LC_ALL", "TZ", "MPLBACKEND") if name in os.environ}
    return kept | {
        "PATH": f"{Path(sys.executable).parent}:/usr/bin:/bin",
        "HOME": inner["tmp"],
        "TMPDIR": inner["tmp"],
        "USER": "student",
        "LOGNAME": "student",
        "PYTHONPATH": inner["lib"],
        "PYTHONDONTWRITEBYTECODE": "1",
        "MPLCONFIGDIR": f"{inner['tmp']}/matplotlib",
        "IPYTHONDIR": f"{inner['tmp']}/ipython",
        "JUPYTER_RUNTIME_DIR": inner["tmp"],
        "MINI_ENGINE_CACHE": inner["model"],
        "HF_HUB_OFFLINE": "1",
        "TOKENIZERS_PARALLELISM": "false",
        "JPY_PARENT_PID": "1",  # the warden ends the kernel; within the jail its parent may well be process 1
        "NBGRADER_EXECUTION": "autograde",
        **dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1"),
    }


def named_roots():
    """The folders that the interpreter and its packages live in, as Python names them."""
    roots = {sys.prefix, sys.base_prefix, os.path.dirname(os.path.dirname(os.path.realpath(sys.executable)))}
    roots |= {path for path in sys.path if os.path.basename(path) in ("site-packages", "dist-packages")}
    return {root for root in roots if os.path.isdir(root)}


def python_roots():
    """The same without links, those within the system's folders or within one another left out.

    Raises NoJail where one of them holds the course: it could not be shown without the solutions.
    """
    roots = {os.path.realpath(root) for root in named_roots()}
    for root in roots:
        if ROOT.is_relative_to(root) and root not in ("/usr", "/usr/local"):
            raise NoJail(
                f"the Python environment {root} holds the course itself: make one elsewhere, as `make setup` does"
            )
    outermost = [root for root in sorted(roots) if not any(inside(root, other) for other in roots - {root})]
    hidden = [str(place) for place in private_places()]
    return [
        root
        for root in outermost
        if any(inside(root, place) for place in hidden) or not any(inside(root, system) for system in SYSTEM)
    ]


def inside(path, folder):
    return os.path.realpath(path).startswith(os.path.realpath(folder) + "/") or path == folder


def model_folder():
    """Where the real model is cached, or None: see mini_engine/files/fetch.py, which alone knows."""
    from mini_engine.files.fetch import cache_folder

    folder = cache_folder().resolve()
    if any(place.is_relative_to(folder) for place in private_places()):
        raise NoJail(
            f"the model's cache {folder} holds more than the model: set MINI_ENGINE_CACHE to a folder of its own"
        )
    return folder if folder.is_dir() else None


def private_places():
    """What must stay unreadable even where it lies within a folder that the jail shows."""
    places = [ROOT, Path(os.environ.get("COURSE_WORK", ROOT)).resolve(), Path(os.path.expanduser("~")), Path("/root")]
    return [place for place in dict.fromkeys(places) if place.is_dir() and place != Path("/")]


class Bubblewrap:
    """Namespaces of its own for files, processes, network, IPC: what is not shown does not exist."""

    mend = (
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
        options += ["--proc", "/proc", "--dev", "/dev", *parents(CPU), "--ro-bind-try", CPU, CPU]
        for place in ("/tmp", "/dev/shm", "/submission"):
            options += ["--perms", "1777", "--size", str(limits.disk_bytes), "--tmpfs", place]
        shown = [(root, root) for root in python_roots()]
        for root in sorted(named_roots()):
            real = os.path.realpath(root)
            if real != root and not any(inside(root, target) for _, target in shown):  # reached over a link
                shown.append((real, root))
        shown += [(str(ROOT / "mini_engine"), "/course/mini_engine"), (str(HERE), "/course/sandbox")]
        shown += [(str(cell.submission), "/course/submission"), (str(cell.run / "t"), "/course/start")]
        if model_folder():
            shown.append((str(model_folder()), "/course/model"))
        for source, target in shown:
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

    mend = "It needs Linux 5.13 or newer with Landlock switched on (landlock in the kernel's lsm= list)"

    @staticmethod
    def missing():
        if not landlock.version():
            return f"the kernel has no Landlock. {Landlock.mend}"
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
                "read": [*Landlock.shown(), str(library), "/proc/self"],
                "write": written,
                "sockets": [str(cell.exchange)],
            },
            "command": command,
        }
        return [*PYTHON, str(HERE / "inside.py")], orders


def everyone_reads(paths):
    """Whether other users can reach and read all these paths."""
    return all(
        os.stat(place).st_mode & needed == needed
        for path in paths
        for place, needed in (
            (path, 0o005 if os.path.isdir(path) else 0o004),
            *((above, 0o001) for above in Path(os.path.realpath(path)).parents),
        )
    )


def may_read_all():
    """Whether this process could give the jail the capability to read (CAP_DAC_READ_SEARCH)."""
    status = Path("/proc/self/status").read_text()
    return bool(int(status.split("CapPrm:")[1].split()[0], 16) >> 2 & 1)


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
