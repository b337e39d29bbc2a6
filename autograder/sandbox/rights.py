"""Giving up rights: another user, no capabilities, none to be gained again. Also run under `python -I -S`."""

import ctypes
import os

NO_NEW_PRIVS, KEEP_CAPS, AMBIENT = 38, 8, 47
BOUNDING_DROP = 24
DAC_READ_SEARCH = 2
libc = ctypes.CDLL(None, use_errno=True) if os.name == "posix" else None


def become(uid, read_all):
    """Another user, without groups or capabilities; `read_all` keeps reading whatever Landlock will still allow."""
    if read_all:
        libc.prctl(KEEP_CAPS, 1, 0, 0, 0)
    os.setgroups([])
    os.setresgid(uid, uid, uid)
    os.setresuid(uid, uid, uid)
    if read_all:
        header = (ctypes.c_uint32 * 2)(0x20080522, 0)
        kept = 1 << DAC_READ_SEARCH
        sets = (ctypes.c_uint32 * 6)(kept, kept, kept, 0, 0, 0)
        if libc.capset(header, sets) or libc.prctl(AMBIENT, 2, DAC_READ_SEARCH, 0, 0):
            raise OSError(ctypes.get_errno(), "cannot keep the right to read the interpreter's folder")


def drop():
    """Gives up every capability that this process has in its user namespace."""
    header, none = (ctypes.c_uint32 * 2)(0x20080522, 0), (ctypes.c_uint32 * 6)()
    for number in range(64):
        libc.prctl(BOUNDING_DROP, number, 0, 0, 0)
    if libc.prctl(AMBIENT, 4, 0, 0, 0) or libc.capset(header, none):
        raise OSError(ctypes.get_errno(), "cannot give up capabilities")


def no_new_privileges():
    """From now on no program gives this process, or one that it starts, more rights than it has."""
    if libc.prctl(NO_NEW_PRIVS, 1, 0, 0, 0):
        raise OSError(ctypes.get_errno(), "no_new_privs")
