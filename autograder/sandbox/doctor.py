"""python -m autograder doctor: what the jail promises, tried on this machine, with the remedy for what it cannot keep.

Every promise is broken on purpose, from within the jail, by attempts.py and probes.py, in a program that was started
anew and in a fork of the warm parent.
"""

import json
import os
import platform
import subprocess
import sys
from dataclasses import dataclass

from autograder.outside import devices, probe

from . import cells, landlock, modes
from .probes import PROBES, Way, environment
from .targets import targets

NOT_GIVEN = {
    "bubblewrap": [
        "the kernel is shared: a hole in Linux itself is a hole in the jail, so keep it up to date",
        "memory at the instant: each process has its limit, but all together are counted five times a second",
    ],
    "landlock": [
        "as for bubblewrap: the kernel is shared, and memory counted five times a second",
        "names: that a path exists, and how big it is, can be asked of a file that cannot be opened",
        "disk: the notebook's folder is on the host's disk, watched five times a second; bubblewrap's is in memory",
        "comfort: no /tmp, /dev/shm, terminals, chmod or shutil.copy, so no locks of multiprocessing and no `!command`",
        "before Linux 6.12 (Landlock 6): a submission cannot send signals to processes that it starts itself",
    ],
    "trusted": ["anything: a submission can do whatever you can"],
}


@dataclass
class Finding:
    """One promise: whether it holds, and what was found."""

    promise: str
    holds: bool
    found: str


def try_attempts(mode):
    """Yields the findings of attempts.py, all from one start of the jail each way."""
    broken = {}
    for way in ways(mode):
        cell = modes.new_cell()
        with environment(NBGRADER_DB_URL="postgresql://someone:password@host/gradebook"), targets(cell) as told:
            script = modes.MODES[mode].inner(cell)["sandbox"] + "/attempts.py"
            done = way.run([sys.executable, "-I", "-S", script, json.dumps(told)], cell=cell)
        try:
            results = json.loads(done.stdout)
        except ValueError:
            results = {"attempts": [f"the probe itself failed: {done.stderr.strip()[-300:]}"]}
        for promise, found in results.items():
            broken.setdefault(promise, []).extend(f"{way}: {text}" for text in found)
    for promise, found in broken.items():
        yield Finding(promise, not found, "; ".join(found) or "every attempt was refused")


def ways(mode):
    """Kernels are forks of the warm parent, or started anew where that is not wanted."""
    return [Way(mode, is_forked) for is_forked in (False, True)]


def try_tester(mode):
    """Yields the findings about the tester, the same beside either jail."""
    cell = modes.new_cell()
    try:
        with environment(NBGRADER_DB_URL="postgresql://someone:password@host/gradebook"), targets(cell) as told:
            for promise, broken in probe.results(told).items():
                yield Finding(promise, not broken, broken or "every attempt was refused")
    finally:
        modes.remove(cell)


def examine(mode):
    """Yields a Finding for each promise of a mode, the first being whether there is such a jail at all."""
    why = modes.objection(mode) or modes.objection_to_tester()
    yield Finding("jail", not why, why or "a probe ran in it")
    if why:
        return
    yield from try_attempts(mode)
    yield from try_tester(mode)
    for promise, tried in PROBES.items():
        parts = []
        for way in ways(mode):
            try:
                parts += [(holds, f"{way}: {found}") for holds, found in tried(way)]
            except (OSError, RuntimeError, ValueError, IndexError, subprocess.TimeoutExpired) as error:
                parts.append((False, f"{way}: the probe itself failed: {error}"))
        yield Finding(promise, all(holds for holds, _ in parts), "; ".join(found for _, found in parts))


def add_arguments(parser):
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    parser.add_argument("--mode", choices=[*modes.MODES], help="try this jail only, as if COURSE_JAIL asked for it")


def run(args):
    """Prints what holds; 0 where the mode that grading would use, or that was named, keeps all its promises."""
    if args.mode:
        os.environ["COURSE_JAIL"] = args.mode
    try:
        mode, refusal = modes.require(), ""
    except modes.NoJail as error:
        mode, refusal = None, str(error)
    report = {"mode": mode, "refusal": refusal, "system": machine(), "jails": {}}
    for name in [args.mode] if args.mode else modes.MODES:
        if not args.json:
            print(f"\n{name}" + (" (grading uses this one)" if name == mode else ""))
        report["jails"][name] = []
        for finding in examine(name):
            report["jails"][name].append(vars(finding))
            if not args.json:
                print(f"  {'yes' if finding.holds else 'NO ':3}  {finding.promise:20} {finding.found}", flush=True)
        if not args.json and report["jails"][name][0]["holds"]:
            print("  not given:", *NOT_GIVEN[name], sep="\n    - ")
    report["kernels"] = try_kernels()
    if not args.json:
        print("\nkernels of WebGPU (the tests of the GPU lab need them, no others)\n  " + report["kernels"])
    good = mode in report["jails"] and all(finding["holds"] for finding in report["jails"][mode])
    report["holds"] = good
    print(json.dumps(report, indent=1) if args.json else "\n" + verdict(mode, refusal, good))
    return 0 if good else 1


def try_kernels():
    """Whether the tests that run kernels can be graded here, in a line."""
    why = devices.objection()
    return f"NO   {why}" if why else "yes  a worker that is confined as the tester is ran one on the software device"


def machine():
    return {
        "kernel": platform.release(),
        "landlock": landlock.version() if platform.system() == "Linux" else 0,
        "user": "root, so each jail gets a user of its own" if cells.own_uid() else "an ordinary user",
    }


def verdict(mode, refusal, good):
    if refusal:
        return refusal
    if mode == "trusted":
        return modes.TRUSTED_WARNING
    return f"nbgrader autograde will use {mode}: " + (
        "it keeps its promises" if good else "NOT all promises hold, see above"
    )
