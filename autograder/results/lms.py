"""Points for an LMS: python -m autograder lms NN_topic --format canvas|moodle [--roster file.csv]

Canvas takes every column after Section for an assignment, so what waits for a person goes into a second file; Moodle
passes over columns that it does not know. A student with something left to grade by hand gets no number unless you ask
for it with --partial: an LMS shows a number as if it were the end. Nothing is written for one who handed in nothing.

Columns: Canvas, lib/gradebook_importer.rb (process_header, process_student); Moodle, mod/assign/feedback/offline/
importgradeslib.php (init, next).
"""

import csv
import io
import os
import sys
from dataclasses import dataclass
from pathlib import Path

from nbgrader.api import Gradebook, MissingEntry

from autograder.grading import course
from autograder.grading.spreadsheet import as_csv
from autograder.intake import received

PENDING = "Manual grading pending"
LATE = "Late"
CANVAS = ["Student", "ID", "SIS User ID", "SIS Login ID", "Section"]
MOODLE = ["Identifier", "Full name", "Email address", "Grade", "Last modified (grade)"]
# By which columns of a roster a student's id may be found, in this order; an e-mail address matches one.
KEYS = {
    "canvas": ("SIS User ID", "SIS Login ID", "ID", "Email"),
    "moodle": ("ID number", "Username", "Email address", "Identifier"),
}


class LmsError(ValueError):
    """The export cannot be made; the text is one line that says what to do."""


@dataclass
class Result:
    """One graded submission. pending: how many cells wait for a person; late: in seconds, or None if not late."""

    student: str
    name: str
    email: str
    score: float
    pending: int
    late: str


def read_results(work, assignment):
    """({student: Result}, the maximum) of a graded class. The score is what nbgrader exports: less the late penalty."""
    if "NBGRADER_DB_URL" not in os.environ and not Path(work, "gradebook.db").exists():
        raise LmsError(f"no gradebook in {work}: run `nbgrader autograde {assignment}` first")
    with Gradebook(course.database(work)) as gradebook:
        try:
            most = gradebook.find_assignment(assignment).max_score
            submissions = gradebook.assignment_submissions(assignment)
        except MissingEntry:
            raise LmsError(f"the gradebook has no assignment {assignment}") from None
        found = {}
        for entry in submissions:
            person = entry.student
            grades = [grade for notebook in entry.notebooks for grade in notebook.grades]
            penalty = sum(notebook.late_submission_penalty or 0 for notebook in entry.notebooks)
            found[person.id] = Result(
                person.id,
                ", ".join(filter(None, (person.last_name, person.first_name))) or person.id,
                person.email or "",
                max(0.0, entry.score - penalty),
                sum(bool(grade.needs_manual_grade) for grade in grades),
                lateness(entry, work, assignment),
            )
    if not found:
        raise LmsError(f"nothing of {assignment} is graded: run `nbgrader autograde {assignment}` first")
    return found, most


def lateness(entry, work, assignment):
    if entry.total_seconds_late > 0:
        return f"{entry.total_seconds_late / 3600:.1f} h"
    path = Path(work, "received", assignment, f"{entry.student.id}.json")
    return "marked late by your system" if path.exists() and received.load(path).get("late") else ""


def read_roster(path):
    """(header, rows as dicts, separator) of a CSV that the LMS exported, with commas, semicolons or tabs."""
    try:
        text = Path(path).read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise LmsError(f"{path} cannot be read: {error}") from None
    first = text.split("\n", 1)[0]
    separator = max(",;\t", key=first.count)
    rows = list(csv.DictReader(io.StringIO(text), delimiter=separator, restval=""))
    if not rows or not rows[0]:
        raise LmsError(f"{path} holds no student")
    return list(rows[0]), rows, separator


def match(results, rows, keys, path="the roster"):
    """{index of a row: Result}. Raises LmsError where two rows or two students claim each other."""
    lookup = {}
    for student, result in results.items():
        for name in {student.casefold(), result.email.casefold()} - {""}:
            lookup.setdefault(name, set()).add(student)
    found = {}
    for index, row in enumerate(rows):
        for key in keys:
            value = (row.get(key) or "").strip().casefold()
            value = value.removeprefix("participant ") if key == "Identifier" else value
            if value in lookup:
                if len(lookup[value]) > 1:
                    raise LmsError(f"{value} is an id or address of {' and '.join(sorted(lookup[value]))}")
                [student] = lookup[value]
                if results[student] in found.values():
                    raise LmsError(f"two rows of {path} are {student}: the second is row {index + 2}")
                found[index] = results[student]
                break
    return found


def canvas(results, most, assignment, roster, partial, number):
    """Header and rows for Canvas's gradebook import; the column is the roster's where its title begins alike."""
    if roster:
        header, rows, _ = roster
        if header[:2] != CANVAS[:2] or "Section" not in header:
            raise LmsError("the roster is not a Canvas gradebook export: Student, ID, …, Section are wanted")
        people = header[: header.index("Section") + 1]
        titles = [title for title in header[len(people) :] if title.startswith(assignment)]
        if len(titles) > 1:
            raise LmsError(f"the roster has {len(titles)} columns that begin with {assignment}")
        title = titles[0] if titles else assignment
        matched = match(results, rows, KEYS["canvas"])
        lines = [[*(row[name] for name in people), matched[i]] for i, row in enumerate(rows) if i in matched]
    else:
        people, title = CANVAS, assignment
        lines = [[r.name, r.student if r.student.isdigit() else "", "", r.student, "", r] for r in results.values()]
    points = [["    Points Possible", *[""] * (len(people) - 1), number(most)]]
    kept = [[*line[:-1], number(line[-1].score)] for line in lines if partial or not line[-1].pending]
    return [*people, title], points + kept, [line[-1].student for line in lines]


def moodle(results, most, assignment, roster, partial, number):
    """Header and rows for Moodle's offline grading worksheet: the roster is the worksheet that Moodle gave you."""
    if roster:
        header, rows, _ = roster
        if not {"Identifier", "Grade"} <= set(header):
            raise LmsError("the roster is not a Moodle grading worksheet: Identifier and Grade are wanted")
        matched = match(results, rows, KEYS["moodle"])
    else:
        header = MOODLE
        people = [(f"Participant {r.student}", r.name, r.email) for r in results.values()]
        rows = [dict(zip(MOODLE, person, strict=False)) for person in people]
        matched = dict(enumerate(results.values()))
    lines = []
    for index, row in enumerate(rows):
        result = matched.get(index)
        row = dict(row)
        if result and (partial or not result.pending):
            row["Grade"] = number(result.score)
        extra = [result.pending, result.late] if result else ["", "nothing handed in"]
        lines.append([*(row.get(name, "") for name in header), *extra])
    return [*header, PENDING, LATE], lines, [result.student for result in matched.values()]


def write(work, assignment, kind, out, roster=None, partial=False, decimal="."):
    """Writes the files into the folder `out`. Returns (paths, students not in the roster, students who wait).

    Raises LmsError.
    """
    results, most = read_results(work, assignment)

    def number(value):
        return f"{value:.10g}".replace(".", decimal)

    listed = read_roster(roster) if roster else None
    make = {"canvas": canvas, "moodle": moodle}[kind]
    header, rows, exported = make(results, most, assignment, listed, partial, number)
    separator = listed[2] if listed else ";" if decimal == "," and kind == "canvas" else ","
    texts = {f"{assignment}_{kind}.csv": as_csv(header, rows, separator)}
    status = [
        [r.student, r.name, number(r.score), number(most), r.pending, r.late, "" if r.student in exported else "no"]
        for r in results.values()
    ]
    header = ["student", "name", "score so far", "of", PENDING, LATE, "in the roster"]
    texts[f"{assignment}_{kind}_status.csv"] = as_csv(header, status, separator)
    missing = sorted(set(results) - set(exported))
    return course.write_texts(Path(out), texts), missing, sorted(r.student for r in results.values() if r.pending)


def add_arguments(parser):
    default = Path(os.environ.get("COURSE_WORK", course.ROOT / "autograder"))
    parser.add_argument("assignment", metavar="NN_topic")
    parser.add_argument("--format", choices=("canvas", "moodle"), required=True)
    parser.add_argument("--roster", type=Path, help="the gradebook (Canvas) or grading worksheet (Moodle) you exported")
    parser.add_argument("--partial", action="store_true", help="export unfinished scores too")
    parser.add_argument("--decimal", choices=(".", ","), default=".", help="the decimal mark of your LMS's language")
    parser.add_argument("--work", type=Path, default=default, help="the folder of the class")
    parser.add_argument("--out", type=Path, help="where to write; default: the folder lms of --work")


def run(options):
    """Exit code: 0; 1 where nothing is written, or a graded student is not in the roster."""
    try:
        paths, missing, waiting = write(
            options.work,
            options.assignment,
            options.format,
            options.out or options.work / "lms",
            options.roster,
            options.partial,
            options.decimal,
        )
    except LmsError as error:
        print(error, file=sys.stderr)
        return 1
    print("\n".join(map(str, paths)))
    if waiting:
        what = (
            "exported with what they have so far" if options.partial else "left without a score (--partial exports it)"
        )
        print(f"manual grading pending for {len(waiting)}: {what}")
    if missing:
        print(f"graded, but not in the roster: {', '.join(missing)}", file=sys.stderr)
    return int(bool(missing))
