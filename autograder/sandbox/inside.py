"""The last step before the student's kernel: limits, another user, closed doors, then exec. Run by warden.py.

python -I -S inside.py ORDERS, where ORDERS is JSON, see modes.py. Whatever fails ends the process: no jail, no kernel.
"""

import json
import os
import resource
import shutil
import signal
import sys

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import landlock  # noqa: E402
import rights  # noqa: E402
import seccomp  # noqa: E402

PDEATHSIG, DUMPABLE = 1, 4


def main(orders):
    enter(orders)
    os.execv(orders["command"][0], orders["command"])


def enter(orders):
    """Puts this very process into the jail, for good."""
    parent = os.getppid()
    if os.getpgrp() != os.getpid():
        os.setsid()
    for name, value in orders["limits"].items():
        kind = getattr(resource, f"RLIMIT_{name}")
        hard = resource.getrlimit(kind)[1]
        value = value if hard == resource.RLIM_INFINITY else min(value, hard)
        resource.setrlimit(kind, (value, value))
    if orders["uid"] is not None:
        rights.become(orders["uid"], orders["read_all"])
    rights.libc.prctl(PDEATHSIG, signal.SIGKILL, 0, 0, 0)  # after the change of user, which clears it
    if os.getppid() != parent:
        sys.exit("the warden has ended")
    for source, target in orders["copy"]:
        copy(source, target)
    os.chdir(orders["folder"])
    rights.no_new_privileges()
    if orders["landlock"]:
        landlock.enter(**orders["landlock"])
    seccomp.enter(orders["on_host"], signals=landlock.version() < 6)
    rights.libc.prctl(DUMPABLE, 1, 0, 0, 0)  # as it is after the start of a program: its own /proc is its user's


def copy(source, target):
    for entry in os.scandir(source):
        if entry.is_dir(follow_symlinks=False):
            shutil.copytree(entry.path, os.path.join(target, entry.name), symlinks=True)
        else:
            shutil.copyfile(entry.path, os.path.join(target, entry.name))


if __name__ == "__main__":
    main(json.loads(sys.argv[1]))
