"""A process of ours within the namespaces that bubblewrap has made for a submission. See setns(2) and ioctl_ns(2).

bubblewrap makes them as ever. What it starts there, in the same jail as a kernel, only waits and keeps them alive.
"""

import ctypes
import fcntl
import json
import os
import traceback

import rights
import warden

KINDS = ("mnt", "pid", "net", "ipc", "uts", "cgroup")
OWNER_OF = 0xB701  # NS_GET_USERNS
libc = ctypes.CDLL(None, use_errno=True)


def make(orders, stderr):
    """(process id of bubblewrap, that of the first process in its namespaces or None where it could not make them)."""
    info, tell_info = os.pipe()
    ready, tell_ready = os.pipe()
    made = os.fork()
    if made == 0:
        try:
            for descriptor in (tell_info, tell_ready):
                os.set_inheritable(descriptor, True)
            wait = f"echo ready >&{tell_ready}; exec sleep infinity {tell_ready}>&-"
            step = json.dumps(orders["holder"] | {"command": ["/bin/sh", "-c", wait]})
            program, *options = orders["space"]
            warden.become(orders, stderr, os.getppid())
            os.execv(program, [program, "--info-fd", str(tell_info), *options, step])
        finally:
            os._exit(127)
    os.close(tell_info)
    os.close(tell_ready)
    is_ready = os.read(ready, 16)
    first = json.loads(os.read(info, 1 << 16))["child-pid"] if is_ready else None
    os.close(ready)
    os.close(info)
    return made, first


def fork_into(first, orders, stderr):
    """Like os.fork, but the child is in the namespaces of the process `first`, and its id here is returned."""
    number, tell_number = os.pipe()
    go, tell_go = os.pipe()
    between = os.fork()
    if between:
        os.close(tell_number)
        os.close(go)
        # the child becomes ours, the nearest reaper's, when the process between has ended
        os.waitid(os.P_PID, between, os.WEXITED | os.WNOWAIT)
        said = os.read(number, 16)
        if said:
            os.write(tell_go, b"g")
        os.close(tell_go)
        os.close(number)
        return int(said or between)
    try:
        warden.set_streams(orders, stderr)
        enter(first)
        child = os.fork()
    except BaseException:
        traceback.print_exc()
        os._exit(1)
    if child:
        os.write(tell_number, str(child).encode())
        os._exit(0)
    os.close(tell_go)
    if not os.read(go, 1):
        os._exit(1)
    return 0


def enter(first):
    """Joins the namespaces; a child that is forked from here on is in the process namespace too."""
    spaces = [os.open(f"/proc/{first}/ns/{kind}", os.O_RDONLY) for kind in KINDS]
    user = os.open(f"/proc/{first}/ns/user", os.O_RDONLY)
    ours = os.stat("/proc/self/ns/user").st_ino
    owner = fcntl.ioctl(spaces[0], OWNER_OF) if os.fstat(user).st_ino != ours else None
    if owner is not None:  # bubblewrap may have made a user namespace within its own one
        join(owner)
    for space in spaces:
        join(space)
    if owner is not None:
        if os.fstat(user).st_ino != os.fstat(owner).st_ino:
            join(user)
        rights.drop()


def join(space):
    if libc.setns(space, 0):
        raise OSError(ctypes.get_errno(), "cannot join a namespace that bubblewrap made")
