"""Landlock: which files this process, and all that it starts, may read and write from now on. See landlock(7)."""

import ctypes
import os
import struct

CREATE_RULESET, ADD_RULE, RESTRICT_SELF = 444, 445, 446  # the same numbers on x86-64 and aarch64
EXECUTE, WRITE_FILE, READ_FILE, READ_DIR, REMOVE_DIR, REMOVE_FILE = (1 << bit for bit in range(6))
MAKE_SOCK, REFER, TRUNCATE, IOCTL_DEV = 1 << 9, 1 << 13, 1 << 14, 1 << 15
ALL_OF_FIRST = (1 << 13) - 1
READ = EXECUTE | READ_FILE | READ_DIR
SOCKETS = READ_FILE | READ_DIR | REMOVE_FILE | MAKE_SOCK  # a folder for sockets: nothing can be written into it
ON_A_FILE = EXECUTE | WRITE_FILE | READ_FILE | TRUNCATE | IOCTL_DEV
libc = ctypes.CDLL(None, use_errno=True) if os.name == "posix" else None


def call(number, *arguments):
    result = libc.syscall(ctypes.c_long(number), *arguments)
    if result < 0:
        raise OSError(ctypes.get_errno(), f"Landlock: {os.strerror(ctypes.get_errno())}")
    return result


def version():
    """The kernel's Landlock ABI, 0 where there is none. 3: truncation, 4: TCP, 6: signals and abstract sockets."""
    try:
        return call(CREATE_RULESET, None, ctypes.c_size_t(0), ctypes.c_uint(1))
    except OSError:
        return 0


def everything(abi):
    """The rights on files that this ABI knows."""
    return ALL_OF_FIRST | (REFER if abi >= 2 else 0) | (TRUNCATE if abi >= 3 else 0) | (IOCTL_DEV if abi >= 5 else 0)


def enter(read, write, sockets, listed=(), isolate=True, execute=True):
    """Allows reading below `read`, everything below `write`, sockets in `sockets`; a path not there is left out.

    listed: folders below which names may be read and no file.
    isolate: also no TCP, and no signals or abstract sockets to the outside, as far as the kernel knows of these.
    execute: what may be read may be started as a program too.
    """
    abi = version()
    handled = everything(abi)
    attributes = struct.pack("QQQ", handled, 3 if isolate and abi >= 4 else 0, 3 if isolate and abi >= 6 else 0)
    attributes = attributes[: 8 if abi < 4 else 16 if abi < 6 else 24]
    rules = call(CREATE_RULESET, ctypes.c_char_p(attributes), ctypes.c_size_t(len(attributes)), ctypes.c_uint(0))
    given = (read, READ if execute else READ & ~EXECUTE), (write, handled), (sockets, SOCKETS), (listed, READ_DIR)
    for paths, rights in given:
        for path in paths:
            if not os.path.exists(path):
                continue
            place = os.open(path, os.O_PATH | os.O_CLOEXEC)
            possible = rights & handled & (-1 if os.path.isdir(path) else ON_A_FILE)
            rule = struct.pack("=Qi", possible, place)
            call(ADD_RULE, ctypes.c_int(rules), ctypes.c_int(1), ctypes.c_char_p(rule), ctypes.c_uint(0))
            os.close(place)
    call(RESTRICT_SELF, ctypes.c_int(rules), ctypes.c_uint(0))
    os.close(rules)
