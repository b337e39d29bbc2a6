"""Whether this machine can run the kernels of an assignment's tests: asked before the first submission is graded."""

import functools
import os

import numpy as np

from autograder.sandbox import modes, places

from . import shaders

ADD_ONE = """
@group(0) @binding(0) var<storage, read_write> y: array<f32>;
@compute @workgroup_size(1) fn main() { y[0] = y[0] + 1.0; }
"""


def is_needed(assignment):
    """Whether an assignment's tests run kernels."""
    source = places.ROOT / "solutions" / assignment / f"{assignment}.ipynb"
    return source.exists() and "webgpu" in source.read_text(encoding="utf-8")


def objection_to(assignment):
    """Why the tests of an assignment cannot run here, in one line; "" where they can, or need no device."""
    return objection() if is_needed(assignment) else ""


@functools.cache
def objection():
    """The same of a test that runs a kernel, tried in a worker that is confined as at grading."""
    workers = []

    def connect():
        workers.append(shaders.fork_worker(modes.chosen() != "trusted"))
        return workers[0][0]

    try:
        (got,) = shaders.RemoteDevice(connect).run(ADD_ONE, [], [np.ones(1, np.float32)], (1,))
    except (shaders.KernelLost, shaders.webgpu.ShaderError) as error:
        return f"no software device for the kernels, so nothing is graded ({error}): {shaders.PACKAGES}"
    finally:
        for connection, pid in workers:
            connection.close()
            os.waitpid(pid, 0)
    return "" if got[0] == 2 else f"the software device computes 1 + 1 = {got[0]}: {shaders.PACKAGES}"
