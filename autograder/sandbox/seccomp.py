"""The system calls that jailed code may not make, as a seccomp program built by hand: no C library is needed.

Read together: seccomp(2), linux/filter.h, and the kernel's tables of call numbers.
"""

import ctypes
import os
import platform
import struct

ARCHITECTURES = {"x86_64": (0xC000003E, 0), "aarch64": (0xC00000B7, 1)}  # audit's name, column below
REFUSED = {  # (x86-64, aarch64); None where the architecture has no such call
    # other processes' memory and handles
    "ptrace": (101, 117),
    "process_vm_readv": (310, 270),
    "process_vm_writev": (311, 271),
    "kcmp": (312, 272),
    "pidfd_getfd": (438, 438),
    "process_madvise": (440, 440),
    # file systems and namespaces
    "mount": (165, 40),
    "umount2": (166, 39),
    "pivot_root": (155, 41),
    "chroot": (161, 51),
    "open_tree": (428, 428),
    "move_mount": (429, 429),
    "fsopen": (430, 430),
    "fsconfig": (431, 431),
    "fsmount": (432, 432),
    "fspick": (433, 433),
    "mount_setattr": (442, 442),
    "unshare": (272, 97),
    "setns": (308, 268),
    "name_to_handle_at": (303, 264),
    "open_by_handle_at": (304, 265),
    "quotactl": (179, 60),
    "fanotify_init": (300, 262),
    # wide doors into the kernel
    "bpf": (321, 280),
    "perf_event_open": (298, 241),
    "userfaultfd": (323, 282),
    "io_uring_setup": (425, 425),
    "io_uring_enter": (426, 426),
    "io_uring_register": (427, 427),
    "add_key": (248, 217),
    "request_key": (249, 218),
    "keyctl": (250, 219),
    # memory that no limit of ours counts
    "memfd_create": (319, 279),
    "memfd_secret": (447, 447),
    "shmget": (29, 194),
    "semget": (64, 190),
    "msgget": (68, 186),
    "mq_open": (240, 180),
    # the machine
    "init_module": (175, 105),
    "finit_module": (313, 273),
    "delete_module": (176, 106),
    "kexec_load": (246, 104),
    "kexec_file_load": (320, 294),
    "reboot": (169, 142),
    "swapon": (167, 224),
    "swapoff": (168, 225),
    "acct": (163, 89),
    "syslog": (103, 116),
    "settimeofday": (164, 170),
    "clock_settime": (227, 112),
    "clock_adjtime": (305, 266),
    "adjtimex": (159, 171),
    "sethostname": (170, 161),
    "setdomainname": (171, 162),
    "vhangup": (153, 58),
    "iopl": (172, None),
    "ioperm": (173, None),
    "modify_ldt": (154, None),
}
REFUSED_ON_HOST = {  # what Landlock does not ask about, and that other files and processes of the same user would feel
    "connect": (42, 203),  # to a unix socket, see door.py
    "chmod": (90, None),
    "fchmodat": (268, 53),
    "fchmodat2": (452, 452),
    "chown": (92, None),
    "lchown": (94, None),
    "fchownat": (260, 54),
    "utime": (132, None),
    "utimes": (235, None),
    "futimesat": (261, None),
    "setxattr": (188, 5),
    "lsetxattr": (189, 6),
    "removexattr": (197, 14),
    "lremovexattr": (198, 15),
    "setxattrat": (463, 463),
    "removexattrat": (466, 466),
    "file_setattr": (469, 469),
    "truncate": (76, 45),
    "setpriority": (141, 140),
    "ioprio_set": (251, 30),
    "inotify_init": (253, None),
    "inotify_init1": (294, 26),
}
ALONE = {  # besides, where nothing may be started, connected or changed: the tester, see confine.py
    "execve": (59, 221),
    "execveat": (322, 281),
    "fork": (57, None),
    "vfork": (58, None),
    "socket": (41, 198),
    "socketpair": (53, 199),
    "bind": (49, 200),
    "listen": (50, 201),
    "fchmod": (91, 52),
    "fchown": (93, 55),
    "fsetxattr": (190, 7),
    "fremovexattr": (199, 16),
    "utimensat": (280, 88),
    "flock": (73, 32),
}
OF_ITSELF = {  # calls whose first argument names a process: this one only
    "sched_setaffinity": (203, 122),
    "sched_setattr": (314, 274),
    "prlimit64": (302, 261),
}
SIGNALS = {
    "kill": (62, 129),
    "tgkill": (234, 131),
    "rt_sigqueueinfo": (129, 138),
    "rt_tgsigqueueinfo": (297, 240),
}
SIGNALS_REFUSED = {"tkill": (200, 130), "pidfd_send_signal": (424, 424)}
SCHED_SETSCHEDULER, SCHED_OTHER = (144, 119), 0
UTIMENSAT, FCNTL, F_SETOWN, F_SETOWN_EX = (280, 88), (72, 25), 8, 15
SOCKET, SOCKETPAIR = (41, 198), (53, 199)
CLONE, CLONE3 = (56, 220), (435, 435)
THREAD = 0x00010000  # CLONE_THREAD
NEW_NAMESPACE = 0x7E020000  # CLONE_NEWUSER, NEWNS, NEWPID, NEWNET, NEWIPC, NEWUTS, NEWCGROUP
AF_UNIX, SOCK_STREAM = 1, 1
EPERM, ENOSYS, EOPNOTSUPP = 1, 38, 95  # the last one is the only refusal of a socket that libzmq survives
ALLOW, KILL, ERRNO = 0x7FFF0000, 0x80000000, 0x00050000
NUMBER, ARCHITECTURE, ARGUMENTS = 0, 4, 16  # offsets in struct seccomp_data


def load(offset):
    return (0x20, 0, 0, offset)


def jump(value, if_equal, otherwise):
    return (0x15, if_equal, otherwise, value)


def give(result):
    return (0x06, 0, 0, result)


def only(call, argument, allowed, mask=0xFFFFFFFF, error=EOPNOTSUPP):
    """Refuses `call` unless its argument of that number, masked, is one of `allowed`; other calls pass by."""
    body = [load(ARGUMENTS + 8 * argument), (0x54, 0, 0, mask)]
    body += [jump(value, len(allowed) - i, 0) for i, value in enumerate(allowed)]
    body += [give(ERRNO | error), load(NUMBER)]
    return [jump(call, 0, len(body)), *body]


def refuse(calls, column):
    """Refuses each of the calls {name: numbers} that the architecture has."""
    numbers = [each[column] for each in calls.values() if each[column] is not None]
    return [instruction for number in numbers for instruction in (jump(number, 0, 1), give(ERRNO | EPERM))]


def on_host(column, pid, signals):
    """What is refused besides where processes, files' names and sockets are the host's. pid: who will run under it.

    signals: also those to other processes, its own children among them; for kernels that cannot tell them apart.
    """
    code = refuse(REFUSED_ON_HOST, column)
    # a stream socket has no address but by connect; a datagram could be sent to any socket file of the host
    code += only(SOCKET[column], 1, [SOCK_STREAM], mask=0xF)
    code += only(SOCKETPAIR[column], 1, [SOCK_STREAM], mask=0xF)
    code += only(SCHED_SETSCHEDULER[column], 1, [SCHED_OTHER], error=EPERM)  # libzmq sets that for its threads
    code += only(UTIMENSAT[column], 1, [0], error=EPERM)  # no path: of an open file
    for numbers in (OF_ITSELF | SIGNALS if signals else OF_ITSELF).values():
        code += only(numbers[column], 0, [0, pid], error=EPERM)
    if signals:
        code += refuse(SIGNALS_REFUSED, column)
        own = [jump(F_SETOWN, 1, 0), jump(F_SETOWN_EX, 0, 1), give(ERRNO | EPERM), load(NUMBER)]
        code += [jump(FCNTL[column], 0, 5), load(ARGUMENTS + 8), *own]
    return code


def program(host, signals=False, pid=0, alone=False):
    """The filter as bytes. host: the jail has the host's processes, file names and sockets, see `on_host`.

    alone: no other process, program or connection than those it has; threads only.

    Raises RuntimeError on an architecture whose call numbers are not in the table.
    """
    if platform.machine() not in ARCHITECTURES:
        raise RuntimeError(f"no seccomp table for {platform.machine()}")
    name, column = ARCHITECTURES[platform.machine()]
    code = [load(ARCHITECTURE), jump(name, 1, 0), give(KILL), load(NUMBER)]
    if column == 0:
        code += [(0x35, 0, 1, 0x40000000), give(ERRNO | ENOSYS)]  # the x32 calls have numbers of their own
    # clone3 has its flags in memory; C libraries fall back to clone
    code += [jump(CLONE3[column], 0, 1), give(ERRNO | ENOSYS)]
    code += refuse(REFUSED | ALONE if alone else REFUSED, column)
    if alone:
        thread = [load(ARGUMENTS), (0x45, 1, 0, THREAD), give(ERRNO | EPERM), load(NUMBER)]
        code += [jump(CLONE[column], 0, len(thread)), *thread]
    code += only(SOCKET[column], 0, [AF_UNIX])
    if host:
        code += on_host(column, pid, signals)
    code += [jump(CLONE[column], 0, 3), load(ARGUMENTS), (0x45, 0, 1, NEW_NAMESPACE), give(ERRNO | EPERM)]
    code += [give(ALLOW)]
    return b"".join(struct.pack("HBBI", *instruction) for instruction in code)


def enter(host, signals, alone=False):
    """Puts this thread, and all that it starts, under the filter; needs no_new_privs or CAP_SYS_ADMIN."""
    libc = ctypes.CDLL(None, use_errno=True)
    code = ctypes.create_string_buffer(program(host, signals, os.getpid(), alone))
    header = struct.pack("HxxxxxxP", (len(code) - 1) // 8, ctypes.addressof(code))
    if libc.prctl(22, 2, ctypes.c_char_p(header), 0, 0):  # PR_SET_SECCOMP, SECCOMP_MODE_FILTER
        raise OSError(ctypes.get_errno(), "the kernel takes no seccomp filter")
