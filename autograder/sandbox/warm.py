"""The warm parent of kernels: has loaded what they need, then forks one per submission. Started by forks.py.

python warm.py ASKS FOLDER: a file descriptor, and the folder of its home, which is gone when all is loaded. Every
message on ASKS brings the connection of one submission, see forks.py. This process reads nothing from that. Its child
does, becomes the submission's warden, and forks the kernel, which enters its jail by the same steps as one that was
started anew: nothing of one submission can reach the next.
"""

import gc
import importlib
import json
import os
import random
import runpy
import shutil
import signal
import socket
import sys
import tempfile

import inside
import join
import warden

HERE = os.path.dirname(os.path.abspath(__file__))
# pyplot and its backend stay out: they look for the running kernel when they are imported
MODULES = (
    "ipykernel.kernelapp", "ipykernel.ipkernel", "ipykernel.zmqshell", "IPython", "numpy", "torch", "matplotlib.figure",
    "matplotlib.backends.backend_agg", "matplotlib.widgets",
)  # fmt: skip
MAX_FILES = 1 << 16


class InKernel(BaseException):
    """Raised in the process that is to become the kernel, to leave the warden's functions."""


def main(descriptor, folder):
    os.environ.setdefault("MPLBACKEND", "module://matplotlib_inline.backend_inline")  # as a starting ipykernel does
    for name in MODULES:
        importlib.import_module(name)
    shutil.rmtree(folder, ignore_errors=True)
    if len(os.listdir("/proc/self/task")) > 1:
        sys.exit("what is loaded for the kernels has started threads, which a fork would lose")
    gc.collect()
    gc.freeze()  # so that a child's collector leaves these pages shared
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    asks = socket.socket(fileno=descriptor)
    while True:
        message, descriptors, _, _ = socket.recv_fds(asks, 1, 4)
        if not message:
            return 0
        for each in descriptors:
            os.set_inheritable(each, False)
        if os.fork() == 0:
            asks.close()
            return attend(*descriptors)
        for each in descriptors:
            os.close(each)


def attend(control, *streams):
    """The life of a child: the warden's and, in one more fork, the kernel's. streams: its standard output and error."""
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    os.setsid()
    os.write(control, str(os.getpid()).encode())
    orders = json.loads(receive(control))
    for number, stream in enumerate(streams, 1):
        os.dup2(stream, number)
        os.close(stream)
    os.environ.clear()
    os.environ.update(orders["environment"])
    try:
        code = warden.main(orders | {"control": control}, start)
    except InKernel:
        code = None
    if code is None:
        return run(orders)
    os.write(control, str(code).encode())
    return 0


def receive(control):
    with socket.socket(fileno=os.dup(control)) as connection:
        return connection.recv(1 << 20)


def start(orders):
    """(pid of the kernel, read end of its standard error), like warden.start_anew; raises InKernel in the kernel."""
    read_end, write_end = os.pipe()
    parent = os.getpid()
    if orders["space"]:
        child, first = join.make(orders, write_end)
        child = join.fork_into(first, orders, write_end) if first else child
    else:
        child = os.fork()
        if child == 0:
            warden.become(orders, write_end, parent)
    if child == 0:
        raise InKernel
    os.close(write_end)
    return child, read_end


def run(orders):
    """Enters the jail and runs the program {"command": [python, options, ...]} here: what `python` would do with it."""
    close_all_but(os.environ.get("COURSE_DOOR"))
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_DFL)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    if orders["inside"]["on_host"]:
        import door  # noqa: F401 (as sitecustomize in a kernel that was started anew)
    inside.enter(orders["inside"])
    own = {HERE, *orders["forget"]}
    sys.path[:] = [os.environ["PYTHONPATH"], *(place for place in sys.path if place not in own)]
    tempfile.tempdir = None
    random.seed()
    sys.modules["numpy"].random.seed()
    words = [word for word in orders["inside"]["command"][1:] if word not in ("-I", "-S")]
    option, name = words[0], words[1]
    if option == "-m":
        sys.argv = words[1:]
        runpy.run_module(name, run_name="__main__", alter_sys=True)
    elif option == "-c":
        sys.argv = ["-c", *words[2:]]
        exec(compile(name, "<string>", "exec"), {"__name__": "__main__"})
    else:
        sys.argv = words
        runpy.run_path(option, run_name="__main__")
    return 0


def close_all_but(door):
    """Closes what the parent and the warden have open, but the standard streams and the jail's door."""
    first = 3
    if door is not None:
        os.closerange(first, int(door))
        first = int(door) + 1
    os.closerange(first, MAX_FILES)


if __name__ == "__main__":
    sys.exit(main(int(sys.argv[1]), sys.argv[2]))
