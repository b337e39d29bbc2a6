"""The instructor's commands: python -m autograder <command> --help."""

import argparse
import importlib
import sys

COMMANDS = {
    "audit": (
        "autograder.auditor.command",
        "score the bank of answers and every mutant: do the tests catch what is wrong?",
    ),
    "costs": (
        "autograder.grading.costs",
        "measure what grading a submission costs: serial, sharded, with and without the jail",
    ),
    "demo": ("autograder.grading.demo", "grade a made class with nbgrader's commands and print its table"),
    "doctor": ("autograder.sandbox.doctor", "try on this machine what the jail for students' code promises"),
    "grade": ("autograder.grading.grade", "grade a class on every core or on a Dask cluster, resumable"),
    "hostile": ("autograder.hostile.command", "grade hostile submissions: is each score and note as wanted?"),
    "lms": ("autograder.results.lms", "write the points as a CSV that Canvas or Moodle imports"),
    "notebooks": ("autograder.assignment.notebooks", "make both notebooks of an assignment from its script"),
    "received": ("autograder.intake.received", "record when submissions were handed in, from a CSV of your system"),
    "regrade": (
        "autograder.grading.regrade",
        "after a changed test: grade again on a copy, keep what was given by hand",
    ),
    "report": ("autograder.results.report", "after grading: what the class misunderstood, as one page and CSV files"),
}


def main(arguments=None):
    parser = argparse.ArgumentParser(prog="python -m autograder", description="The instructor's commands.")
    subparsers = parser.add_subparsers(dest="command", required=True)
    given = (sys.argv[1:] if arguments is None else arguments)[:1]
    for name, (module, summary) in COMMANDS.items():
        subparser = subparsers.add_parser(name, help=summary, description=summary)
        if given == [name]:  # the others' modules need not be loaded
            importlib.import_module(module).add_arguments(subparser)
    options = parser.parse_args(arguments)
    return importlib.import_module(COMMANDS[options.command][0]).run(options)


if __name__ == "__main__":
    sys.exit(main())
