"""Scores one assignment: the reference, the starter, the bank of wrong and right answers, and every mutant.

Wanted: the reference and every right answer keep all points, the starter has none, every wrong answer loses some by
the check that it names, every mutant loses some. Mutants that compute the same thing are listed as equivalent, with a
reason; a line there that no longer holds is a fault too.
"""

import random
from dataclasses import dataclass, field

from .candidates import ROOT, candidates_of, load_topic, scratch_folder
from .children import score_all, score_references
from .stamp import stamps
from .wrappers import recorded_kinds, wrappers

REFERENCE_CPU_S = 2.0  # a test cell ends within two seconds on one core
# Here the wrappers still have survivors that no one has made a test or an equivalent of; `--wrappers` prints them.
SURVIVORS_UNREAD = ()
SAMPLE = 4  # answers scored of an exercise that is as it was when its counts were saved
UNRUN = ("NameError", "SyntaxError", "IndentationError", "ImportError", "ModuleNotFoundError", "NotImplementedError")


@dataclass
class Row:
    """One exercise's line of the table. `faults` are the misses, one text each; empty where all is as wanted."""

    topic: str
    exercise: str
    wrong: int = 0
    wrong_caught: int = 0
    mutants: int = 0
    mutants_killed: int = 0
    right: int = 0
    right_kept: int = 0
    equivalent: int = 0
    points: int = 0
    cpu_s: float = 0.0
    stamp: str = ""
    is_sampled: bool = False
    faults: list = field(default_factory=list)
    detail: list = field(default_factory=list)


def audit_topic(name, root=ROOT, exercises=None, jobs=2, progress=None, wrappers_too=False, known=()):
    """The rows of one topic: those of `exercises`, or all. wrappers_too: also where their survivors are unread.

    known: stamps of saved rows; of an exercise whose stamp is among them, only a sample is scored.
    """
    with scratch_folder(root / "solutions" / name):
        topic, banks, stray = load_topic(name, root)
        rows = {
            exercise: Row(name, exercise, points=topic.full(exercise), faults=list(banks[exercise].faults))
            for exercise in topic.exercises
            if not exercises or exercise in exercises
        }
        for exercise, stamp in stamps(name, rows, root).items():
            rows[exercise].stamp, rows[exercise].is_sampled = stamp, stamp in known
        if stray and rows and not exercises:
            next(iter(rows.values())).faults.append(f"the bank has no exercise for: {', '.join(stray)}")
        judge_references(topic, rows, jobs)
        outcomes = score_candidates(topic, banks, rows, jobs, progress, wrappers_too)
    for exercise, row in rows.items():
        judge(row, outcomes[exercise], banks[exercise])
    return list(rows.values())


def judge_references(topic, rows, jobs):
    """The reference of every row keeps all points, in time."""
    for exercise, run in score_references(topic, jobs, rows, 60).items():
        row = rows[exercise]
        row.cpu_s = run.cpu_s
        row.faults += [f"the reference fails {test}: {reason}" for test, reason in run.reasons.items() if reason]
        if run.cpu_s > 2 * REFERENCE_CPU_S:
            row.faults.append(f"its two test cells take {run.cpu_s:.1f} s, {REFERENCE_CPU_S:.0f} s each are allowed")


def score_candidates(topic, banks, rows, jobs, progress=None, wrappers_too=False):
    """{exercise: [(kind, name, Run)]} of everything but the references."""
    work, outcomes = [], {exercise: [] for exercise in rows}
    for exercise, row in rows.items():
        candidates = list(candidates_of(exercise, topic.exercises[exercise]["solution"].source, banks[exercise]))
        if row.is_sampled:
            candidates = random.Random(row.stamp).sample(candidates, min(SAMPLE, len(candidates)))
        for key, answers in candidates:
            kind = key[0]
            limit = {"right": 30, "mutant": 0.3}.get(kind, 3) + 10 * row.cpu_s
            work.append((key, answers, [exercise], limit, kind == "mutant"))
        if not row.is_sampled and (wrappers_too or topic.name not in SURVIVORS_UNREAD):
            work += wrapped_candidates(topic, exercise, 3 + 10 * row.cpu_s)
    for done, ((kind, exercise, name), run) in enumerate(score_all(topic, jobs, work), 1):
        outcomes[exercise].append((kind, name, run))
        if progress:
            progress(done, len(work))
    return outcomes


def wrapped_candidates(topic, exercise, limit):
    """What score_all takes, for every wrapper around one exercise's reference."""
    parts = topic.exercises[exercise]
    tests = parts["test"].source + parts["hidden"].source
    for mutant in wrappers(exercise, parts["solution"].source, recorded_kinds(topic, exercise), tests):
        yield ("mutant", exercise, mutant.change), {exercise: mutant.source}, [exercise], limit, True


def judge(row, outcomes, bank):
    """Fills a row from what its candidates got."""
    for kind, name, run in sorted(outcomes, key=lambda outcome: outcome[:2]):
        lost = next((f"{test}: {reason}" for test, reason in run.reasons.items() if reason), "")
        if kind == "starter":
            if run.total:
                row.faults.append(f"the starter gets {run.total} of {row.points} points")
        elif kind == "wrong":
            judge_wrong(row, bank, bank.wrong[name], run, lost)
        elif kind == "right":
            row.right += 1
            row.right_kept += not lost
            if lost:
                row.faults.append(f"{bank.at(bank.right[name].line)}: right {name} loses points: {lost}")
        elif name in bank.equivalent:
            row.equivalent += 1
            if lost:
                row.faults.append(f"{bank.path.name} is stale: the equivalent `{name}` is killed by {lost}")
        else:
            row.mutants += 1
            row.mutants_killed += bool(lost)
            if not lost:
                row.faults.append(f"mutant survives: {name}")
    made = {name for kind, name, _ in outcomes if kind == "mutant"}
    gone = [] if row.is_sampled else [change for change in bank.equivalent if change not in made]
    row.faults += [f"{bank.path.name} is stale: no mutant `{change}`" for change in gone]


def judge_wrong(row, bank, answer, run, lost):
    """A wrong answer is caught where the check that it names says why, not by just any lost point."""
    reason = run.reasons[f"{answer.check}_{row.exercise}"]
    caught = reason != "" and answer.fragment in reason
    row.wrong += 1
    row.wrong_caught += caught
    by = f"{answer.check}_{row.exercise}: {reason}" if caught else lost
    row.detail.append(f"{answer.name}: {run.total} of {row.points} points; {by or 'nothing caught it'}")
    fault = ""
    if not lost:
        fault = "gets all points: a test is missing"
    elif lost.split(": ")[1] in UNRUN:
        fault = f"does not run ({lost}): it must show the misconception"
    elif not caught:
        wanted = f"{answer.check}: {answer.fragment}".removesuffix(": ")
        fault = f"loses points, but not by the check that it names ({wanted}): {lost}"
    if fault:
        row.faults.append(f"{bank.at(answer.line)}: wrong {answer.name} {fault}")
