"""Puts every case of the hostile bank through real `nbgrader autograde` and compares score and note with the wanted.

    python -m autograder hostile [--case 'lost/*'] [--jobs 2] [--stock]

The cases are dealt to as many classes as jobs, each with its own folder, gradebook and canaries.
"""

import json
import os
import sys
import time
from concurrent.futures import ThreadPoolExecutor

from autograder.hostile import bank
from autograder.hostile.classes import CELL_SECONDS, grade_class

FEW = 8  # cases that one class grades alone
PATIENT = 6  # times as long in the second look at a case that only lacks points or a note: was the machine busy?


def grade_bank(cases, jobs=2, stock=False):
    """(outcomes, findings) of all cases, dealt to `jobs` classes that are graded side by side.

    A case that got too little, and nothing that it should not, is graded once more with more time.
    """
    outcomes, findings = grade_classes(cases, jobs, stock, CELL_SECONDS)
    slow = [outcome.case for outcome in outcomes if outcome.got_too_little]
    if slow and not stock:
        names = ", ".join(case.name for case in slow)
        print(f"These lack points or a note, once more with more time: {names}", file=sys.stderr, flush=True)
        again, found = grade_classes(slow, jobs, stock, PATIENT * CELL_SECONDS)
        second = {outcome.case.name: outcome for outcome in again}
        outcomes, findings = [second.get(outcome.case.name, outcome) for outcome in outcomes], findings + found
    return outcomes, findings


def grade_classes(cases, jobs, stock, cell_seconds):
    """As grade_bank, once; a class has one topic, and a topic of few cases one class: each start takes seconds."""
    parts = []
    for topic in sorted({case.topic for case in cases}):
        found = [case for case in cases if case.topic == topic]
        number = min(jobs, -(-len(found) // FEW))
        parts += [found[start::number] for start in range(number)]
    with ThreadPoolExecutor(max(jobs, len(parts))) as pool:
        results = list(pool.map(lambda part: grade_class(part, stock, cell_seconds), parts))
    outcomes = [outcome for part, _ in results for outcome in part]
    order = {case.name: number for number, case in enumerate(cases)}
    return sorted(outcomes, key=lambda o: order[o.case.name]), [text for _, found in results for text in found]


def table(outcomes):
    """The printed table: a line a case, those not as wanted with their reasons below them."""
    lines = [f"{'case':<38} {'wanted':>6} {'got':>5} {'s':>6}  note"]
    for outcome in outcomes:
        got = "none" if outcome.points is None else f"{sum(outcome.points.values()):g}"
        name = f"{outcome.case.family}/{outcome.case.name}"
        wanted = sum(outcome.wanted.values())
        lines.append(f"{name:<38} {wanted:>6g} {got:>5} {outcome.seconds:>6.1f}  {outcome.note[:90]}")
        lines += [f"    NOT AS WANTED: {miss[:200]}" for miss in outcome.misses]
    return "\n".join(lines)


def figures(outcomes):
    """{family: (as wanted, all)} and the same under "all"."""
    counts = {}
    for outcome in outcomes:
        for key in (outcome.case.family, "all"):
            good, number = counts.get(key, (0, 0))
            counts[key] = (good + (not outcome.misses), number + 1)
    return counts


def add_arguments(parser):
    parser.add_argument("--case", default="*", metavar="GLOB", help="name or family/name, such as 'lost/*'")
    parser.add_argument("--jobs", type=int, default=min(2, os.cpu_count() or 1), help="classes graded side by side")
    parser.add_argument("--stock", action="store_true", help="without jail and with the tests in the student's process")
    parser.add_argument("--json", metavar="FILE", help="save the outcomes as well")


def run(options):
    """Prints the table and the figures. Exit code 1 where a case is not as wanted or something was left behind."""
    cases = bank.read_bank(options.case)
    if not cases:
        print(f"no case matches {options.case}", file=sys.stderr)
        return 1
    begun = time.monotonic()
    outcomes, findings = grade_bank(cases, options.jobs, options.stock)
    print(table(outcomes))
    for text in findings:
        print(f"NOT AS WANTED, of the whole class: {text}")
    print()
    counts = figures(outcomes)
    for family, title in (*bank.FAMILIES.items(), ("all", "all")):
        if family in counts:
            print(f"{title:<20} {counts[family][0]:>3} of {counts[family][1]:>3} as wanted")
    print(f"{time.monotonic() - begun:.0f} s with {options.jobs} classes side by side")
    if options.json:
        with open(options.json, "w", encoding="utf-8") as file:
            rows = [
                {"case": f"{o.case.family}/{o.case.name}", "points": o.points, "seconds": o.seconds, "misses": o.misses}
                for o in outcomes
            ]
            json.dump({"outcomes": rows, "findings": findings}, file, indent=1)
    return int(bool(findings) or any(outcome.misses for outcome in outcomes))
