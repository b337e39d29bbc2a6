"""Confines this very process, the tester: a fork of the grader that runs test cells and listens to a student's process.

It needs no namespaces and no other program, so it is the same beside either jail: a user of its own where we are root,
Landlock (nothing can be written, and of files only the interpreter's, the engine's and the model's be read) and a
filter of system calls (no program, no process, no socket). Tried by `objection` before anything is graded.
"""

import ctypes
import functools
import os
import platform
import resource

from . import cells, jails, landlock, places, rights, seccomp

# Not /usr as a whole: the course itself may lie below it.
LIBRARIES = ["/usr/lib", "/usr/lib32", "/usr/lib64", "/usr/local/lib", "/lib", "/lib32", "/lib64"]
DATA = ["/usr/share/fonts", "/usr/share/zoneinfo", "/dev/null", "/dev/urandom", "/dev/random"]
PROC = ["/proc/cpuinfo", "/proc/meminfo", "/proc/stat"]
OWN_PROC = ["/proc/self/status", "/proc/self/statm", "/proc/self/maps"]
MAX_OPEN_FILES = 128
NOT_DUMPABLE = 4
SECRET_NAMES = ("NBGRADER_", "COURSE_", "JUPYTER_")


@functools.cache
def readable():
    """(paths that the tester may read, whether it needs the right to read them past their modes)."""
    model = [str(places.model_folder())] if places.model_folder() else []
    own = [str(places.ROOT / "mini_engine"), *places.python_roots(), *model]
    # python_roots leaves out what lies in the system's folders, which LIBRARIES shows
    paths = [path for path in [*own, *LIBRARIES, *places.ETC, places.CPU, *DATA, *PROC] if os.path.exists(path)]
    return paths, os.getuid() == 0 and not places.everyone_reads(paths)


def enter(also_read=()):
    """Confines this process for good; it must have one thread. Raises OSError or RuntimeError where it cannot be.

    also_read: folders, beside those that a tester reads.
    """
    paths, read_all = readable()
    for name in [name for name in os.environ if name.startswith(SECRET_NAMES)]:
        del os.environ[name]
    os.setsid()  # else a signal to its group would reach the grader
    os.chdir("/")
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))
    most = min(MAX_OPEN_FILES, *(n for n in resource.getrlimit(resource.RLIMIT_NOFILE) if n >= 0))
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    uid = cells.own_uid()
    if uid is not None:
        rights.become(uid, read_all)
    if rights.libc.prctl(NOT_DUMPABLE, 0, 0, 0, 0):
        raise OSError(ctypes.get_errno(), "cannot close its memory to others")
    rights.no_new_privileges()
    landlock.enter([*paths, *also_read, *OWN_PROC], [], [], execute=False)
    seccomp.enter(host=True, signals=True, alone=True)


@functools.cache
def objection():
    """Why the tester cannot be confined here, with the remedy; "" where a probe was."""
    if platform.system() != "Linux":
        return f"{platform.system()} has nothing to confine it with"
    if not landlock.version():
        return f"the kernel has no Landlock, which the tester needs beside either jail. {jails.Landlock.remedy}"
    paths, read_all = readable()
    for place in places.private_places():
        within = [path for path in paths if places.inside(str(place), path)]
        if within:
            return f"{place} lies within {within[0]}, which the tester must read: move it"
    if read_all and not places.may_read_all():
        return "the interpreter's folders are closed to other users: keep the environment out of /root"
    return probe()


def probe():
    """Confines a child and has it try a few doors; what went wrong, or ""."""
    read_end, write_end = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            enter()
            found = open_doors()
            said = f"a probe could still {' and '.join(found)}" if found else "confined"
        except BaseException as error:
            said = f"a probe could not be confined: {error}"
        os.write(write_end, said.encode("utf-8", "replace")[:300])
        os._exit(0)
    os.close(write_end)
    with os.fdopen(read_end, "rb") as pipe:
        said = pipe.read().decode("utf-8", "replace")
    os.waitpid(child, 0)
    return "" if said == "confined" else f"{said or 'a probe ended'}. {jails.Landlock.remedy}"


def open_doors():
    """What this process can still do and must not."""
    doors = {
        "start a process": os.fork,
        "start a program": lambda: os.execv("/bin/true", ["true"]),
        "read the course": lambda: os.listdir(places.ROOT),
        "write a file": lambda: os.open("/dev/null", os.O_WRONLY),
    }
    found = []
    for name, attempt in doors.items():
        try:
            if attempt() == 0:
                os._exit(0)  # the child that must not be
            found.append(name)
        except OSError:
            pass
    return found
