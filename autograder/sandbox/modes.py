"""Which jail this machine can make, and the orders for warden.py and warm.py that make it.

COURSE_JAIL chooses: auto (bubblewrap, else Landlock), bubblewrap, landlock, or trusted, which is no jail at all.
"""

import json
import os
import platform
import subprocess
import sys
from dataclasses import replace
from functools import cache
from pathlib import Path

from . import confine
from .cells import NOBODY, give_to_its_user, new_cell, remove
from .jails import MODES, PYTHON, Bubblewrap
from .places import HERE, NoJail

TRUSTED_WARNING = (
    "COURSE_JAIL=trusted: students' code runs with your rights, your files and your network. "
    "Grade only people whom you would give your password, or use Linux with bubblewrap."
)


def chosen():
    """What COURSE_JAIL asks for. Raises NoJail for a word that it does not know."""
    mode = os.environ.get("COURSE_JAIL") or "auto"
    if mode not in ("auto", *MODES, "trusted"):
        raise NoJail(f"COURSE_JAIL={mode} is not known: say auto, bubblewrap, landlock or trusted")
    return mode


def require():
    """The mode that holds: "bubblewrap", "landlock" or "trusted"; a probe has run in it, and one of the tester.

    Raises NoJail, with what is missing and the remedy, where nothing that was asked for can be had.
    """
    return tried(chosen())


@cache
def tried(mode):
    if mode == "trusted":
        return mode
    refusals = []
    for name in MODES if mode == "auto" else [mode]:
        why = objection(name) or objection_to_tester()
        if not why:
            return name
        refusals.append(f"{name}: {why}")
    raise NoJail("no jail, so nothing is graded. " + " | ".join(refusals))


def objection(mode):
    """Why this jail cannot be made here, with the remedy; "" where a probe has run in it."""
    if platform.system() != "Linux":
        return (
            f"{platform.system()} has none. Grade on Linux (a virtual machine or WSL 2 will do), or set "
            "COURSE_JAIL=trusted, which runs students' code with your rights"
        )
    try:
        problem = MODES[mode].missing()
        if problem:
            return problem
        done = run_in(mode, [sys.executable, "-c", "import zmq, ipykernel"], timeout=60)
    except (OSError, RuntimeError, subprocess.TimeoutExpired) as error:
        return str(error)
    if done.returncode:
        said = " ".join(done.stderr.split())[-300:] or f"exit code {done.returncode}"
        return f"a probe did not run in it ({said}). {MODES[mode].remedy}"
    return ""


def objection_to_tester():
    """Why the process that runs the tests cannot be confined here, or ""."""
    why = confine.objection()
    return why and f"the tester: {why}"


def run_in(mode, command, limits=None, timeout=60, cell=None):
    """Runs a command in a jail as a kernel would run; returns subprocess.CompletedProcess with what it wrote."""
    cell = cell or new_cell(limits)
    cell.limits = replace(cell.limits, wall_s=min(cell.limits.wall_s, timeout))
    control, ours = os.pipe()
    try:
        orders = warden_orders(mode, cell, command, control, keep_output=True)
        return subprocess.run(
            orders,
            env=jail_environment(mode, cell),
            cwd="/",
            pass_fds=[control],
            capture_output=True,
            text=True,
            timeout=timeout + 30,
        )
    finally:
        os.close(ours)
        os.close(control)
        remove(cell)


def warden_orders(mode, cell, command, control, keep_output=False):
    """The command that starts warden.py with everything it must know."""
    program, step = MODES[mode].plan(cell, command)
    orders = watch_orders(mode, cell, keep_output) | {"command": [*program, json.dumps(step)], "control": control}
    return [*PYTHON, str(HERE / "warden.py"), json.dumps(orders)]


def warm_orders(mode, cell, command, keep_output=False):
    """What warm.py must know to make the same of a fork; `command` starts with the interpreter."""
    program, step = MODES[mode].plan(cell, command)
    space = program if MODES[mode] is Bubblewrap else None
    orders = {
        "environment": jail_environment(mode, cell),
        "space": space,
        "holder": step,
        "inside": step | {"copy": []} if space else step,
    }
    return watch_orders(mode, cell, keep_output) | orders | {"namespaced": False}


def watch_orders(mode, cell, keep_output):
    """What the warden does once the kernel runs."""
    jail = MODES[mode]
    if cell.uid is not None:
        give_to_its_user(cell)
    limits = cell.limits
    return {
        "run": str(cell.run),
        "watched": {str(cell.exchange): limits.exchange_bytes} | jail.watched(cell),
        "memory_bytes": limits.memory_bytes,
        "wall_s": limits.wall_s,
        "namespaced": jail is Bubblewrap,
        "door": None if jail is Bubblewrap else str(cell.exchange),
        "keep_output": keep_output,
        "uid": cell.uid if cell.uid != NOBODY else None,
    }


def jail_environment(mode, cell):
    """The whole environment of a jailed kernel: nothing of the grader's that is not named here."""
    inner = MODES[mode].inner(cell)
    kept = {name: os.environ[name] for name in ("LANG", "LC_ALL", "TZ", "MPLBACKEND") if name in os.environ}
    return kept | {
        "PATH": f"{Path(sys.executable).parent}:/usr/bin:/bin",
        "HOME": inner["tmp"],
        "TMPDIR": inner["tmp"],
        "USER": "student",
        "LOGNAME": "student",
        "PYTHONPATH": inner["lib"],
        "PYTHONDONTWRITEBYTECODE": "1",
        "MPLCONFIGDIR": f"{inner['tmp']}/matplotlib",
        "IPYTHONDIR": f"{inner['tmp']}/ipython",
        "JUPYTER_RUNTIME_DIR": inner["tmp"],
        "MINI_ENGINE_CACHE": inner["model"],
        "HF_HUB_OFFLINE": "1",
        "TOKENIZERS_PARALLELISM": "false",
        "JPY_PARENT_PID": "1",  # the warden ends the kernel; within the jail its parent may well be process 1
        "NBGRADER_EXECUTION": "autograde",
        **dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1"),
    }
