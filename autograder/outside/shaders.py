"""Runs the WGSL of a test cell in a process of its own, on a software device: the worker.

A test cell's `open_device()` gives a RemoteDevice, which sends the text and the arrays to the worker. That holds no
student's Python, is confined as the tester is, and ends itself where a kernel does not end. A tester forks its own
worker before it is confined; the audit has one server for all its children.
"""

import contextlib
import ctypes
import glob
import json
import os
import signal
import socket
import tempfile

import numpy as np

from autograder.sandbox import confine
from mini_engine.gpu.webgpu import device as webgpu

from . import rounds

DRIVERS = "/usr/share/vulkan"
CPU_S, WALL_S = 8, 30  # of one kernel, on all cores; a busy machine's clock is not the student's fault
CONNECT_S = 20
PACKAGES = "sudo apt-get install mesa-vulkan-drivers libvulkan1, and pip install wgpu in the course's environment"
ENDLESS = f"the kernel ran longer than {CPU_S} s on a software device, or ended it: does every loop end?"
MOST_HEADER_BYTES, MOST_ARRAY_BYTES = 1 << 20, 1 << 28
KINDS = ("u", "i", "f")
PDEATHSIG = 1


class KernelLost(RuntimeError):
    """A kernel that did not end, or that ended its device."""


def wanted(topic):
    """Whether the assignment's tests run kernels: its set-up says where from."""
    return topic is not None and any("webgpu" in source for source in topic.setup)


def send(stream, words, arrays):
    """One message: a line of JSON, the words and the arrays' kinds and shapes, then the arrays' bytes."""
    arrays = [np.ascontiguousarray(array) for array in arrays]
    header = {"words": words, "arrays": [[array.dtype.str, array.shape] for array in arrays]}
    stream.write(json.dumps(header).encode() + b"\n")
    for array in arrays:
        stream.write(array.tobytes())
    stream.flush()


def receive(stream):
    """(words, arrays) of one message. Raises EOFError at the end, ValueError for what is no message."""
    line = stream.readline(MOST_HEADER_BYTES)
    if not line.endswith(b"\n"):
        raise EOFError
    header, arrays = json.loads(line), []
    for name, shape in header["arrays"]:
        dtype, count = np.dtype(str(name)), int(np.prod(shape, dtype=object))
        if dtype.kind not in KINDS or not 0 <= count * dtype.itemsize <= MOST_ARRAY_BYTES:
            raise ValueError("an array of a kind or size that no kernel has")
        data = stream.read(count * dtype.itemsize)
        if len(data) < count * dtype.itemsize:
            raise EOFError
        arrays.append(np.frombuffer(data, dtype).reshape(shape))
    return header["words"], arrays


def serve(connection):
    """The worker's life with one other end: opens the device at the first kernel, and runs kernels until the end."""
    device = None
    with connection, connection.makefile("rwb") as stream, contextlib.suppress(EOFError, OSError):
        while True:
            words, arrays = receive(stream)
            results = []
            try:
                device = device or webgpu.open_device()
                results, said = run(device, words, arrays), {}
            except webgpu.ShaderError as error:
                said = {"shader": str(error), "line": error.line}
            except KernelLost as error:
                said = {"lost": str(error)}
            except webgpu.NoDevice as error:
                said = {"lost" if device else "missing": str(error)}
            except Exception as error:  # arguments that no kernel takes
                said = {"error": f"{type(error).__name__}: {error}"}
            send(stream, said, results)


def run(device, words, arrays):
    """The outputs of one kernel; a signal ends this process where that takes too long, since nothing else could.

    Raises KernelLost where a loop has too many rounds.
    """
    num_inputs, num_outputs = words["num_inputs"], words["num_outputs"]
    kinds = ["read-only-storage"] * num_inputs + ["storage"] * num_outputs
    kinds += ["uniform"] * (len(arrays) - len(kinds)) + ["storage"]
    text = rounds.counted(words["wgsl"], len(arrays))
    signal.setitimer(signal.ITIMER_PROF, CPU_S)
    signal.alarm(WALL_S)
    try:
        device.kernel(words["wgsl"], tuple(kinds[:-1]), words["entry"])  # its own errors, in its own lines
        kernel = device.kernel(text, tuple(kinds), words["entry"])
        stuck = np.zeros(4, np.uint32)
        pairs = zip([*arrays, stuck], kinds, strict=True)
        buffers = [device.buffer(array, is_uniform=kind == "uniform") for array, kind in pairs]
        device.submit([(kernel, device.bind(kernel, buffers), words["workgroups"])])
        if device.read(buffers[-1], np.uint32)[0]:
            raise KernelLost(f"a loop ran more than {rounds.MOST_ROUNDS} rounds: does every loop end?")
        written = zip(buffers[num_inputs:], arrays[num_inputs:][:num_outputs], strict=False)
        return [device.read(buffer, array.dtype)[: array.size].reshape(array.shape) for buffer, array in written]
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)
        signal.alarm(0)


def settle():
    """What a worker does before it serves: default signals, and of the drivers the one that computes on the CPU."""
    for number in (signal.SIGPROF, signal.SIGALRM):
        signal.signal(number, signal.SIG_DFL)
    software = ":".join(sorted(glob.glob(f"{DRIVERS}/icd.d/lvp_icd*.json")))
    os.environ |= {"VK_DRIVER_FILES": software or "none", "VK_ICD_FILENAMES": software or "none"}
    os.environ |= {"MESA_SHADER_CACHE_DISABLE": "true", "XDG_RUNTIME_DIR": "/"}


def fork_worker(confined):
    """(our end of the connection, pid) of a new worker: a child that ends with this process or the connection."""
    ours, theirs = socket.socketpair()
    parent, child = os.getpid(), os.fork()
    if child == 0:
        with contextlib.suppress(BaseException):
            ours.close()
            low = theirs.fileno()
            os.closerange(3, low)
            os.closerange(low + 1, 1 << 16)
            settle()
            if confined:
                confine.enter([DRIVERS])
            ctypes.CDLL(None).prctl(PDEATHSIG, signal.SIGKILL, 0, 0, 0)
            if os.getppid() == parent:
                serve(theirs)
        os._exit(0)
    theirs.close()
    return ours, child


class RemoteDevice:
    """A Device whose kernels run in a worker. missing: why there is none, which is no fault of a kernel's."""

    def __init__(self, connect):
        self.connect, self.stream, self.missing = connect, None, ""

    def run(self, wgsl, inputs, outputs, workgroups, uniform=None, entry_point="main"):
        """As Device.run, with arrays for outputs. Raises KernelLost where the kernel does not end."""
        arrays = [*inputs, *outputs, *([] if uniform is None else [uniform])]
        words = {"wgsl": wgsl, "workgroups": list(workgroups), "entry": entry_point}
        words |= {"num_inputs": len(inputs), "num_outputs": len(outputs)}
        try:
            self.stream = self.stream or self.connect().makefile("rwb")
            send(self.stream, words, arrays)
            said, results = receive(self.stream)
        except (EOFError, OSError):
            raise KernelLost(ENDLESS) from None
        if "shader" in said:
            raise webgpu.ShaderError(said["shader"], said["line"])
        if said:
            self.missing = said.get("missing", "")
            raise KernelLost(*said.values())
        return results


installed = RemoteDevice(None)  # where no kernels are run: nothing of it is missing


def install(device):
    """Lets the test cells of this process open that device, and no other."""
    global installed
    installed = device
    os.environ.pop("NBGRADER_EXECUTION", None)
    webgpu.open_device = lambda: device


def connection(confined):
    """A tester's connection: to the server where there is one (see `served`), else to a worker of its own."""
    return installed.connect() if installed.connect else fork_worker(confined)[0]


@contextlib.contextmanager
def served(is_wanted):
    """While the block runs, this process and its children open a device that one worker at a time serves.

    For answers that are trusted: the worker is not confined, and one answer's follows another's.
    """
    if not is_wanted:
        yield
        return
    stock = webgpu.open_device
    with tempfile.TemporaryDirectory(prefix="shaders-") as folder, socket.socket(socket.AF_UNIX) as listener:
        path = os.path.join(folder, "s")
        listener.bind(path)
        listener.listen(64)
        keeper = os.fork()
        if keeper == 0:
            with contextlib.suppress(BaseException):
                keep_serving(listener)
            os._exit(0)

        def connect():
            connection = socket.socket(socket.AF_UNIX)
            connection.connect(path)
            return connection

        try:
            install(RemoteDevice(connect))
            yield
        finally:
            webgpu.open_device, installed.connect = stock, None
            os.killpg(keeper, signal.SIGKILL)
            os.waitpid(keeper, 0)


def keep_serving(listener):
    """Forks a worker, and another whenever one has ended; the group that it makes is killed as one."""
    os.setpgid(0, 0)
    settle()
    while True:
        child = os.fork()
        if child == 0:
            ctypes.CDLL(None).prctl(PDEATHSIG, signal.SIGKILL, 0, 0, 0)
            while True:
                serve(listener.accept()[0])
        os.waitpid(child, 0)
