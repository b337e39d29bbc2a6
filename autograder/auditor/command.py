"""Who tests the tests: scores the reference, the starter, the bank of wrong and right answers, and every mutant.

    python -m autograder audit [NN_topic ...] [--exercise f] [-v] [--jobs 2] [--json] [--save] [--changed] [--outside]

`--save` keeps the counts in autograder/audit_table.json, which the instructor guide shows, each with a checksum of all
that it depends on; `--changed` scores whole only those exercises whose checksum is another by now.
"""

import json
import sys
from dataclasses import asdict

from autograder.outside import devices, shader_server

from . import compare, end_to_end
from .audit import audit_topic
from .candidates import ROOT
from .table import save, saved_lines, table


def add_arguments(parser):
    parser.add_argument("topics", nargs="*", metavar="NN_topic", help="all by default")
    parser.add_argument("--exercise", action="append", metavar="f", help="only this exercise (may be given again)")
    parser.add_argument("-v", "--verbose", action="store_true", help="also say what each wrong answer loses and why")
    parser.add_argument("--jobs", type=int, default=2, metavar="N", help="children at a time")
    parser.add_argument("--wrappers", action="store_true", help="wrapper mutants also where survivors are unread")
    parser.add_argument("--json", action="store_true", help="print the rows as JSON instead of a table")
    parser.add_argument("--save", action="store_true", help="keep the counts in autograder/audit_table.json")
    parser.add_argument("--changed", action="store_true", help="a sample only of exercises that are as when saved")
    parser.add_argument("--outside", action="store_true", help="compare with the tests outside of the answer's process")
    parser.add_argument("--share", type=int, default=1, metavar="N", help="with --outside: one in N wrong answers")
    parser.add_argument("--mutants", type=int, default=0, metavar="N", help="with --outside: N mutants an exercise too")
    parser.add_argument("--end-to-end", type=int, metavar="N", help="grade N drawn submissions by nbgrader and compare")


def run(options):
    """Exit code: 0 when everything is as wanted, 1 otherwise."""
    topics = options.topics or sorted(path.stem for path in (ROOT / "solutions").glob("*/*.py"))
    unknown = [name for name in topics if not (ROOT / "solutions" / name / f"{name}.py").exists()]
    if unknown:
        print(f"no assignment {', '.join(unknown)} in solutions/", file=sys.stderr)
        return 1
    if options.end_to_end:
        return end_to_end.run(topics, options.end_to_end)
    if options.outside:
        sizes = {"share": options.share, "mutants": options.mutants}
        return compare.run(topics, options.exercise, options.jobs, progress_of, **sizes)
    rows, known = [], {line.get("stamp") for line in saved_lines(ROOT)} if options.changed else ()
    for name in topics:
        limits = {"wrappers_too": options.wrappers, "known": known}
        with shader_server.served(devices.is_needed(name)):
            rows += audit_topic(name, ROOT, options.exercise, options.jobs, progress_of(name), **limits)
    if options.exercise and not rows:
        print(f"no exercise {', '.join(options.exercise)} in {', '.join(topics)}", file=sys.stderr)
        return 1
    if options.save:
        save(rows, ROOT)
    if options.json:
        print(json.dumps([asdict(row) for row in rows], indent=1))
    else:
        print(table(rows))
        for row in rows:
            lines = row.faults + (row.detail if options.verbose else [])
            if lines:
                print(f"\n{row.topic}/{row.exercise}")
                print("\n".join(f"  {line}" for line in lines))
    return int(any(row.faults for row in rows))


def progress_of(name):
    """A counter on stderr, where that is a terminal."""
    if not sys.stderr.isatty():
        return None

    def show(done, total):
        end = "\r" if done < total else "\r\033[K"
        print(f"{name}: {done}/{total} answers scored", end=end, file=sys.stderr, flush=True)

    return show
