"""A demonstration class: eight made submissions through the whole round of nbgrader commands.

    python -m autograder demo [NN_topic]

Made from the reference answers and the audit bank, graded in autograder/demo/_run, which is wiped first.
"""

import shutil
import sys
from pathlib import Path

from autograder.assignment.script import read_script
from autograder.auditor.candidates import read_banks
from autograder.grading import course
from autograder.grading.spreadsheet import as_csv

HERE = Path(__file__).resolve().parent
WARNING = "import warnings\n\nwarnings.warn('old')\n"
CRASH = "import os\n\nos._exit(1)\n"


def bank_answers(assignment, kind, root=course.ROOT):
    """{exercise: source} with the first `kind` answer ("wrong" or "right") of each exercise in the audit bank."""
    _, banks = read_banks(assignment, root)
    found = {exercise: list(getattr(bank, kind).values()) for exercise, bank in banks.items()}
    return {exercise: answers[0].source for exercise, answers in found.items() if answers}


def make_class(assignment, root=course.ROOT):
    """{student: notebook or text} of the class, and {student: what it shows}."""
    reference = course.reference_answers(assignment, root)
    exercises = [
        c.name for c in read_script(root / "solutions" / assignment / f"{assignment}.py") if c.kind == "solution"
    ]
    half = exercises[: (len(exercises) + 1) // 2]
    first, last = exercises[0], exercises[-1]
    made = {
        "ada": (reference, "everything right"),
        "ben": (reference | bank_answers(assignment, "right", root), "right in another style"),
        "chi": ({name: reference[name] for name in half}, "the first half only"),
        "dan": ({}, "nothing written"),
        "eve": (reference | bank_answers(assignment, "wrong", root), "well-known mistakes"),
        "fay": (reference | {last: CRASH + reference[last]}, "ends the process in the last exercise"),
        "gus": (reference | {first: WARNING + reference[first]}, "right, with a warning"),
    }
    submissions = {name: course.submission(assignment, answers, root) for name, (answers, _) in made.items()}
    submissions["hal"] = "this was a notebook once"
    return submissions, {name: note for name, (_, note) in made.items()} | {"hal": "a file that is not JSON"}


def grade_class(assignment, submissions, work, root=course.ROOT):
    """The round: generate_assignment, autograde, generate_feedback, export. Returns grades.csv as nbgrader wrote it."""
    for student, content in submissions.items():
        course.hand_in(work, student, assignment, content)
    course.nbgrader("generate_assignment", assignment, "--force", work=work, root=root)
    course.nbgrader("autograde", assignment, work=work, root=root)
    course.nbgrader("generate_feedback", assignment, work=work, root=root)
    course.nbgrader("export", "--to", str(Path(work, "grades.csv")), work=work, root=root)
    return Path(work, "grades.csv").read_text(encoding="utf-8")


def add_arguments(parser):
    parser.add_argument("assignment", nargs="?", default="03_kv_cache", metavar="NN_topic")
    parser.add_argument(
        "--work", type=Path, default=course.ROOT / "autograder" / "demo" / "_run", help="where to grade"
    )


def run(options):
    """Prints and saves the class table. Exit code 1 where there is no such assignment or a command fails."""
    name, work = options.assignment, options.work
    if not (course.ROOT / "notebooks" / name / f"{name}.ipynb").exists():
        print(f"no assignment {name} in notebooks/", file=sys.stderr)
        return 1
    shutil.rmtree(work, ignore_errors=True)
    submissions, notes = make_class(name)
    print(f"grading {len(submissions)} submissions of {name} with nbgrader", flush=True)
    try:
        grade_class(name, submissions, work)
    except course.CommandFailed as error:
        print(error, file=sys.stderr)
        return 1
    header, rows = course.class_table(work, name)
    text = course.as_text(header, rows) + "\n\n" + "\n".join(f"{student}: {note}" for student, note in notes.items())
    (work / "class.csv").write_text(as_csv(header, rows), encoding="utf-8")
    (work / "class.txt").write_text(text + "\n", encoding="utf-8")
    print(f"\n{text}\n\nsaved in {work}: class.csv, class.txt, grades.csv (nbgrader's export), feedback/")
    return 0
