"""Parent of one jailed kernel: starts it, watches it, and leaves nothing of it alive.

python -I -S warden.py ORDERS, where ORDERS is JSON:
  command   what to start, see modes.py
  control   file descriptor: "i" interrupts the kernel; "k" ends everything, as does the death of nbgrader
  run       folder of this kernel, removed at the end if nbgrader is dead; `watched` {path: most bytes} lie below it
  memory_bytes, wall_s   of all processes together
  namespaced   the kernel is process 2 of its own process namespace
  door      folder whose sockets the jail may connect to only through us, see door.py, or null
  keep_output   standard output is ours, not nowhere
  uid       the kernel's own user, when it has one: no other process on the machine is this user's
Exits with the kernel's code, or one of ENDED. It is not jailed, and reads nothing from the student but /proc and sizes.
"""

import ctypes
import json
import os
import select
import signal
import sys
import time

try:
    from .usage import descendants, status_of, too_big
except ImportError:  # as a program
    sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
    from usage import descendants, status_of, too_big

ENDED = {
    81: "It used more memory than it may.",
    82: "The whole notebook ran longer than it may.",
    83: "It wrote more or bigger files than it may.",
    84: "It was ended by the grader.",
}
MEMORY, WALL, FILES, TOLD = ENDED
TICK_S = 0.2
STDERR_BYTES = 4000
START_S = 5


def main(orders, start=None):
    """start: what starts the kernel, see warm.py; else `start_anew`."""
    ctypes.CDLL(None).prctl(36, 1, 0, 0, 0)  # PR_SET_CHILD_SUBREAPER: what forks away from its parent stays ours
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)  # a Ctrl-C meant for nbgrader reaches us by the end of `control`
    started = time.monotonic()
    deadline = started + orders["wall_s"]
    door = open_door() if orders["door"] else None
    child, stderr = (start or start_anew)(orders)
    said, code, orphaned = b"", None, False
    while code is None:
        listened = [source for source in (orders["control"], stderr, door) if source is not None]
        ready, _, _ = select.select(listened, [], [], TICK_S)
        if door in ready:
            let_through(door, orders["door"])
        if stderr in ready:
            chunk = os.read(stderr, 1 << 16)
            said = (said + chunk)[:STDERR_BYTES]
            if not chunk:
                os.close(stderr)
                stderr = None
        if orders["control"] in ready:
            asked = os.read(orders["control"], 64)
            orphaned = not asked
            if orphaned or b"k" in asked:
                code = TOLD
            elif b"i" in asked:
                interrupt(child, orders["namespaced"])
        code = reap(child) if code is None else code
        if code is None:
            code = broken_limit(orders, deadline)
    end_all(orders["uid"])
    if orphaned:
        remove(orders["run"])
    if code and code not in ENDED and time.monotonic() - started < START_S:
        show(said)
    return code


def start_anew(orders):
    """(pid, read end of its standard error)."""
    read_end, write_end = os.pipe()
    parent = os.getpid()
    child = os.fork()
    if child:
        os.close(write_end)
        return child, read_end
    try:
        become(orders, write_end, parent)
        os.execv(orders["command"][0], orders["command"])
    finally:
        os._exit(127)


def become(orders, stderr, parent):
    """What a child does before it starts its program."""
    os.close(orders["control"])
    set_streams(orders, stderr)
    ctypes.CDLL(None).prctl(1, signal.SIGKILL, 0, 0, 0)  # PR_SET_PDEATHSIG
    if os.getppid() != parent:
        os._exit(127)
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_DFL)


def set_streams(orders, stderr):
    null = os.open(os.devnull, os.O_RDWR)
    for stream, target in ((0, null), (1, 1 if orders["keep_output"] else null), (2, stderr)):
        os.dup2(target, stream)


def open_door():
    """Our end of the door; the number of the other end goes to the kernel in its environment."""
    import socket

    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    ours.setblocking(False)
    os.environ["COURSE_DOOR"] = str(theirs.fileno())
    os.set_inheritable(theirs.detach(), True)
    return ours


def let_through(door, folder):
    """Answers one request, the name of a socket in the folder, with a connection to it or with nothing."""
    import socket

    try:
        name = os.path.basename(os.fsdecode(door.recv(256)))
        place = os.open(os.path.join(folder, name), os.O_PATH | os.O_NOFOLLOW)
        try:
            with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
                connection.setblocking(False)
                connection.connect(f"/proc/self/fd/{place}")
                connection.setblocking(True)
                socket.send_fds(door, [b"y"], [connection.fileno()])
        finally:
            os.close(place)
    except (OSError, ValueError):
        try:
            door.send(b"n")
        except OSError:
            pass  # nobody reads the answers


def reap(child):
    """The exit code of `child` if it has ended; takes other dead processes away."""
    while True:
        try:
            pid, status = os.waitpid(-1, os.WNOHANG)
        except ChildProcessError:
            return 1
        if pid == 0:
            return None
        if pid == child:
            code = os.waitstatus_to_exitcode(status)
            return 128 - code if code < 0 else code


def interrupt(child, namespaced):
    for pid in descendants(child) if namespaced else [child]:
        if not namespaced or status_of(pid).get("NSpid", "").split()[1:] == ["2"]:
            try:
                os.killpg(pid, signal.SIGINT)
            except OSError:
                pass


def broken_limit(orders, deadline):
    """The code of the limit that is broken now, or None."""
    if time.monotonic() > deadline:
        return WALL
    used = 0
    for pid in descendants(os.getpid()):
        status = status_of(pid)
        used += sum(int(status.get(field, "0 kB").split()[0]) for field in ("RssAnon", "RssShmem")) * 1024
    if used > orders["memory_bytes"]:
        return MEMORY
    for folder, most in orders["watched"].items():
        if too_big(folder, most):
            return FILES
    return None


def end_all(uid):
    """Ends every process below this one, also those that fork meanwhile."""
    if uid is not None:
        helper = os.fork()
        if helper == 0:
            try:
                os.setresuid(uid, uid, uid)
                os.kill(-1, signal.SIGKILL)  # all of this user's at once: nothing of them can fork on
            finally:
                os._exit(0)
        os.waitpid(helper, 0)
    while True:
        below = descendants(os.getpid())
        for number in (signal.SIGSTOP, signal.SIGKILL):
            for pid in below:
                try:
                    os.kill(pid, number)
                except OSError:
                    pass
        try:
            while os.waitpid(-1, os.WNOHANG)[0]:
                pass
        except ChildProcessError:
            return
        time.sleep(0.005)


def show(said):
    """The last words of what ended at once, in printable characters only: a student's process may have written them."""
    text = "".join(c if c.isprintable() else " " for c in said.decode("utf-8", "replace")).strip()
    if text:
        print(f"the jailed process ended at once and said: {text[-1000:]}", file=sys.stderr)


def remove(run):
    pid = os.posix_spawnp("rm", ["rm", "-rf", "--", run], os.environ)  # it can go as deep as a student can
    os.waitpid(pid, 0)


if __name__ == "__main__":
    sys.exit(main(json.loads(sys.argv[1])))
