"""What jailed code would like to do, tried from within the jail: prints {promise: [what could be done after all]}.

python -I -S attempts.py TARGETS, where TARGETS is JSON made by doctor.py.
"""

import ctypes
import errno
import json
import os
import resource
import signal
import socket
import sys

try:
    from . import seccomp
except ImportError:  # as a program, within the jail
    sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
    import seccomp

libc = ctypes.CDLL(None, use_errno=True)


def works(attempt, *arguments):
    """Whether it does; its result is thrown away."""
    try:
        attempt(*arguments)
    except (OSError, ValueError):
        return False
    return True


def connect(family, kind, address):
    with socket.socket(family, kind) as sock:
        sock.settimeout(2)
        sock.connect(address)


def send_to(path):
    pair = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
    pair[0].sendto(b"out", path)


def network(targets):
    if works(connect, socket.AF_INET, socket.SOCK_STREAM, tuple(targets["tcp"])):
        yield "reached a server of the host over TCP"
    if works(connect, socket.AF_INET, socket.SOCK_DGRAM, tuple(targets["tcp"])):
        yield "made a UDP socket"
    if works(connect, socket.AF_UNIX, socket.SOCK_STREAM, "\0" + targets["abstract"]):
        yield "reached an abstract unix socket of the host"
    if works(connect, socket.AF_UNIX, socket.SOCK_STREAM, targets["socket"]):
        yield "reached a unix socket of the host"
    if works(send_to, targets["datagrams"]):
        yield "sent a datagram to a unix socket of the host"


def files(targets):
    for path in targets["secrets"]:
        if works(os.listdir if path.endswith("/") else open, path):
            yield f"read {path}"
    for folder in targets["read_only"]:
        if works(os.mkdir, os.path.join(folder, "left-by-the-doctor")):
            os.rmdir(os.path.join(folder, "left-by-the-doctor"))
            yield f"wrote into {folder}"

    canary = targets["secrets"][0]
    changes = {"mode": (os.chmod, 0o666), "times": (os.utime,), "length": (os.truncate, 0)}
    for what, (attempt, *arguments) in (changes | {"attributes": (os.setxattr, "user.doctor", b"x")}).items():
        if works(attempt, canary, *arguments):
            yield f"changed the {what} of another file"
    if libc.inotify_add_watch(libc.inotify_init(), os.path.dirname(canary).encode(), 0x100) >= 0:
        yield "watched another folder"


def processes(targets):
    victim = targets["victim"]
    for number in (0, signal.SIGSTOP):
        if works(os.kill, victim, number):
            yield f"sent signal {number} to a process of the host"
    for name in ("environ", "mem", "cmdline", "cwd/"):
        if works(os.listdir if name.endswith("/") else open, f"/proc/{victim}/{name}"):
            yield f"read /proc/{victim}/{name}"
    if works(os.setpriority, os.PRIO_PROCESS, victim, 19):
        yield "slowed a process of the host"
    if works(os.sched_setaffinity, victim, [0]) or works(resource.prlimit, victim, resource.RLIMIT_CPU, (1, 1)):
        yield "limited a process of the host"
    for name in os.environ:
        if name.startswith(("NBGRADER_", "COURSE_WORK")) and name != "NBGRADER_EXECUTION":
            yield f"read the grader's {name}"


def rights(targets):
    with open("/proc/self/status") as file:
        status = dict(line.rstrip("\n").split(":\t", 1) for line in file if ":\t" in line)
    if os.getuid() == 0:
        yield "is root"
    if int(status["CapEff"], 16) & ~(1 << 2) or os.getuid() == 0:  # bit 2 only reads, and Landlock says what
        yield f"has the capabilities {status['CapEff']}"
    if status["NoNewPrivs"] != "1":
        yield "can gain rights from a program"
    column = seccomp.ARCHITECTURES[os.uname().machine][1]
    buffer = ctypes.create_string_buffer(256)
    tried = {
        "ptrace": (0, 0, 0, 0),
        "unshare": (0x10000000,),
        "setns": (-1, 0),
        "mount": (None, b"/tmp", None, 0, None),
        "keyctl": (0, -3, 1),
        "add_key": (b"user", b"name", b"data", 4, -3),
        "bpf": (0, buffer, 128),
        "perf_event_open": (buffer, 0, -1, -1, 0),
        "io_uring_setup": (1, buffer),
        "userfaultfd": (1,),
        "memfd_create": (b"name", 0),
        "shmget": (0, 4096, 0o1600),
        "process_vm_readv": (os.getpid(), None, 0, None, 0, 0),
        "kcmp": (os.getpid(), os.getpid(), 2, 0, 0),
        "open_by_handle_at": (-1, buffer, 0),
    }
    for name, arguments in tried.items():
        number = seccomp.REFUSED[name][column]
        if libc.syscall(number, *arguments) != -1 or ctypes.get_errno() != errno.EPERM:
            yield f"the kernel takes the call {name}"
    child = libc.syscall(seccomp.CLONE[column], 0x10000000 | signal.SIGCHLD, None, None, None, None)
    if child == 0:
        os._exit(0)
    if child > 0:
        yield "made a user namespace"


def exchange(targets):
    folder = targets["exchange"]
    if not works(socket.socket(socket.AF_UNIX, socket.SOCK_STREAM).bind, os.path.join(folder, "mine")):
        yield "cannot make a socket there, so no kernel could"
    elif works(open, os.path.join(folder, "file"), "wb"):
        yield "made a file in it"
    if works(os.symlink, "/etc/passwd", os.path.join(folder, "link")):
        yield "made a link in it"


PROMISES = {"network": network, "files of the course": files, "other processes": processes}
PROMISES |= {"rights": rights, "exchange": exchange}

if __name__ == "__main__":
    told = json.loads(sys.argv[1])
    print(json.dumps({name: list(attempt(told)) for name, attempt in PROMISES.items()}))
