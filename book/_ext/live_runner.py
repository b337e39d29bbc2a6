"""Run one exercise in the page: set-up cells, earlier answers, the reader's code, then its try-it cell or its checks.

The page runs it under Pyodide, where torch and matplotlib are absent and stand-ins take their names; the tests run it
under plain Python. It imports the standard library only.
"""

import builtins
import importlib.abc
import importlib.machinery
import importlib.util
import json
import linecache
import re
import sys
import traceback
import types
from contextlib import redirect_stderr, redirect_stdout, suppress

MAX_OUTPUT_CHARS = 20_000
YOURS = "<your code>"
# packages of the course that are not in the page; a set-up cell may import them, an exercise of the page uses none
NOT_IN_THE_PAGE = ("torch", "tokenizers", "transformers", "tqdm", "matplotlib", "seaborn", "fastapi", "pydantic")
NOT_IN_THE_PAGE += ("gguf", "safetensors")


class AbsentType(type):
    """A class of a package that is not in the page: it may be named, annotated with and inherited from, not called."""

    def __getattr__(cls, name):
        if name.startswith("__"):
            raise AttributeError(name)
        return absent(f"{cls.path}.{name}")

    def __call__(cls, *_args, **_options):
        raise NotImplementedError(f"{cls.path} does not run in the page: open the notebook for this")


def absent(path):
    if path.rpartition(".")[2] in ("no_grad", "inference_mode"):  # decorators act when a module is imported
        return lambda *_args: lambda function: function
    return AbsentType(path.rpartition(".")[2], (), {"path": path})


class StandIns(importlib.abc.MetaPathFinder, importlib.abc.Loader):
    """Finds a stand-in for a package of NOT_IN_THE_PAGE that really is not there."""

    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] not in NOT_IN_THE_PAGE:
            return None
        return importlib.machinery.ModuleSpec(name, self, is_package=True)

    def create_module(self, spec):
        module = types.ModuleType(spec.name)

        def __getattr__(name):  # noqa: N807 (a module's own hook)
            if name.startswith("__"):
                raise AttributeError(name)
            return absent(f"{spec.name}.{name}")

        module.__getattr__ = __getattr__
        return module

    def exec_module(self, module):
        """Nothing to run."""


class Quiet:
    """Stands for a matplotlib figure: takes every call and shows nothing."""

    def __getattr__(self, _name):
        return lambda *_args, **_options: Quiet()

    def __iter__(self):
        return iter((Quiet(), Quiet()))

    def __getitem__(self, _key):
        return Quiet()


def no_input(prompt=""):
    """Stands for input() in the page."""
    raise RuntimeError("input() waits for a keyboard that the page does not have: put the value into a variable")


class PageDevice:
    """The browser's WebGPU device, which runs kernels as mini_engine.gpu.webgpu.device does; see live/kernels.js."""

    def run(self, wgsl, inputs, outputs, workgroups, uniform=None, entry_point="main"):
        """As Device.run, with arrays for outputs."""
        import js
        import numpy as np
        from pyodide.ffi import can_run_sync, run_sync, to_js

        from mini_engine.gpu.webgpu.device import NoDevice, ShaderError

        if not can_run_sync():
            raise NoDevice("in this browser Python cannot wait for a kernel: open the notebook for this")
        arrays = [*inputs, *outputs, *([] if uniform is None else [uniform])]
        kinds = ["read-only-storage"] * len(inputs) + ["storage"] * len(outputs) + ["uniform"] * (uniform is not None)
        contents = to_js([np.ascontiguousarray(array).tobytes() for array in arrays])
        answer = run_sync(js.runKernel(wgsl, to_js(kinds), contents, to_js(list(workgroups)), entry_point)).to_py()
        if "missing" in answer:
            raise NoDevice("this browser has no WebGPU, or no device for it: open the notebook for this")
        if "shader" in answer:
            raise ShaderError(answer["shader"], answer["line"])
        pairs = zip(answer["outputs"], outputs, strict=True)
        return [np.frombuffer(data, array.dtype).reshape(array.shape) for data, array in pairs]


def install_stand_ins():
    """Let the set-up cells import what the page does not have. Once per Python; real packages stay first."""
    builtins.input = no_input
    sys.meta_path.append(StandIns())
    if sys.platform == "emscripten":
        from mini_engine.gpu.webgpu import device as webgpu

        webgpu.open_device = PageDevice
    if isinstance(importlib.util.find_spec("matplotlib").loader, StandIns):
        from mini_engine import plotting

        def show(_fig, alt=""):
            print(f"[a plot, drawn in the notebook: {alt}]")

        plotting.figure = lambda *_args, **_options: (Quiet(), Quiet())
        plotting.show = show


class Output:
    """What the code prints, up to a limit."""

    def __init__(self):
        self.parts, self.size = [], 0

    def write(self, text):
        if self.size <= MAX_OUTPUT_CHARS:
            self.parts.append(text[: MAX_OUTPUT_CHARS - self.size + 1])
        self.size += len(text)
        return len(text)

    def flush(self):
        """Nothing is held back."""

    def text(self):
        shown = "".join(self.parts)
        return shown if self.size <= MAX_OUTPUT_CHARS else shown[:MAX_OUTPUT_CHARS] + "\n… and more: cut off here"


def execute(source, name, space):
    """Run a cell in a namespace, with its lines at hand for tracebacks."""
    linecache.cache[name] = (len(source), None, source.splitlines(keepends=True), name)
    exec(compile(source, name, "exec"), space)


def describe(error):
    return f"{type(error).__name__}: {error}"[:2000]


def place(error):
    """(line number, its text) of the reader's code where an error came from; (None, "") when it came from elsewhere."""
    if isinstance(error, SyntaxError) and error.filename == YOURS:
        return error.lineno, (error.text or "").strip()
    frames = [frame for frame in traceback.extract_tb(error.__traceback__) if frame.filename == YOURS]
    return (frames[-1].lineno, frames[-1].line) if frames else (None, "")


def failure(error):
    line, text = place(error)
    return {"passed": False, "reason": describe(error), "line": line, "text": text}


def earlier_answers(topic, name, answers, space):
    """Define what the exercises before this one are to define. Returns the names that used the reference's answer."""
    borrowed = []
    for exercise in topic["exercises"]:
        if exercise["name"] == name:
            break
        for source in filter(None, (answers.get(exercise["name"]), exercise.get("solution"))):
            try:
                execute(source, f"<{exercise['name']}>", space)
            except BaseException:
                continue
            if source != answers.get(exercise["name"]):
                borrowed.append(exercise["name"])
            break
    return borrowed


def try_it(topic, exercise, space):
    """Run the try-it cell; where it uses what an earlier try-it cell made, those run first, unheard."""
    before = dict(space)
    try:
        return execute(exercise["tryit"], "<try it>", space)
    except NameError:
        space.clear()
        space.update(before)
    for earlier in topic["exercises"][: topic["exercises"].index(exercise)]:
        with suppress(Exception), redirect_stdout(Output()):
            execute(earlier["tryit"], "<try it>", space)
    execute(exercise["tryit"], "<try it>", space)


def attempt(topic, name, code, action, answers):
    """Run (`action` "run") or check ("check") the code of one exercise.

    topic: as live.py writes it. answers: {name: code} of the reader's own earlier exercises that pass. Returns a dict:
    passed (bool), reason (type and message of the error, or ""), line and text of the reader's code, borrowed (names).
    """
    exercise = next(item for item in topic["exercises"] if item["name"] == name)
    space = {"__name__": "__main__"}
    try:
        for source in topic["setup"]:
            execute(source, "<set-up>", space)
    except BaseException as error:
        return {"passed": False, "reason": f"the set-up cell failed: {describe(error)}", "line": None, "text": ""}
    shared = {key: value for key, value in space.items() if not key.startswith("__")}
    borrowed = earlier_answers(topic, name, answers, space)
    borrowed = [other for other in borrowed if re.search(rf"\b{other}\b", code)]
    try:
        execute(code, YOURS, space)
        if action == "run":
            try_it(topic, exercise, space)
        else:
            # a check sees the set-up, the answer, and earlier ones that the task names: as the autograder has it
            seen = {key: space[key] for key in exercise["sees"] if key in space}
            execute(exercise["test"], "<checks>", {"__name__": "__test__", **shared, **seen})
    except BaseException as error:
        return {**failure(error), "borrowed": borrowed}
    return {"passed": True, "reason": "", "line": None, "text": "", "borrowed": borrowed}


def run(request):
    """One request (JSON: the arguments of `attempt`) to one answer (JSON: what it returns, and `output`)."""
    output = Output()
    with redirect_stdout(output), redirect_stderr(output):
        result = attempt(**json.loads(request))
    return json.dumps({**result, "output": output.text()})
