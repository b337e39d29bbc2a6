"""Runs the WGSL of a test cell in a process of its own, on a software device: the worker.

A test cell's `open_device()` gives a RemoteDevice, which sends the text and the arrays to the worker. That holds no
student's Python, is confined as the tester is, and ends itself where a kernel does not end. A tester forks its own
worker before it is confined; the audit has one server for all its children,
see shader_server.py.
"""

import contextlib
import ctypes
import functools
import glob
import json
import os
import signal
import socket

import numpy as np

from autograder.sandbox import confine
from mini_engine.gpu.webgpu import device as webgpu

from . import rounds

DRIVERS = "/usr/share/vulkan"
CPU_S, WALL_S = 8, 30  # of one kernel, on all cores; a busy machine's clock is not the student's fault
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


open_once = functools.cache(webgpu.open_device)


def serve(connection):
    """The worker's life with one other end: says whether there is a device, then runs kernels. True while it has it."""
    with connection, connection.makefile("rwb") as stream, contextlib.suppress(EOFError, OSError):
        receive(stream)  # the other end wants a device now
        try:
            device, said = open_once(), {}
        except Exception as error:
            send(stream, {"missing": str(error)}, [])
            return False
        results = []
        while True:
            send(stream, said, results)
            if "lost" in said:
                return False
            said, results = answer(device, *receive(stream))
    return True


def answer(device, words, arrays):
    """(what is wrong, a dict with one entry, or {}; the outputs) of one kernel."""
    try:
        return {}, run(device, words, arrays)
    except webgpu.ShaderError as error:
        return {"shader": str(error), "line": error.line}, []
    except webgpu.NoDevice as error:
        return {"lost": str(error)}, []
    except Exception as error:  # too many rounds, or arguments that no kernel takes
        return {"error": str(error)}, []


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
    with contextlib.suppress(webgpu.NoDevice):  # the worker says so
        webgpu.native()  # once for all workers, and before they are confined
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
        if self.stream is None:
            self.begin()
        try:
            send(self.stream, words, arrays)
            said, results = receive(self.stream)
        except (EOFError, OSError):
            raise KernelLost(ENDLESS) from None
        if "shader" in said:
            raise webgpu.ShaderError(said["shader"], said["line"])
        if said:
            raise KernelLost(*said.values())
        return results

    def begin(self):
        """Finds a worker that has a device; what is wrong with one that has none is no kernel's fault."""
        try:
            self.stream = self.connect().makefile("rwb")
            send(self.stream, {}, [])
            said, _ = receive(self.stream)
            self.missing = said.get("missing", "")
        except (EOFError, OSError):
            self.missing = "the worker ended before it had a device"
        if self.missing:
            raise KernelLost(self.missing)


installed = RemoteDevice(None)  # where no kernels are run: nothing of it is missing


def install(device):
    """Lets the test cells of this process open that device, and no other."""
    global installed
    installed = device
    os.environ.pop("NBGRADER_EXECUTION", None)
    webgpu.open_device = lambda: device


def connection(confined):
    """A tester's connection: to the server where there is one (see shader_server), else to a worker of its own."""
    return installed.connect() if installed.connect else fork_worker(confined)[0]
