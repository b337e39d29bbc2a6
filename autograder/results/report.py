"""What the class misunderstood: one HTML page and CSV files from the gradebook and the autograded notebooks.

    python -m autograder report NN_topic [--public] [--work FOLDER] [--out FOLDER]

Reads the class that the nbgrader commands graded (COURSE_WORK or autograder/). Nothing of a submission is executed;
the named wrong answers of the audit bank, which are the course's own, are scored anew for their messages.
"""

import os
import statistics
import sys
from datetime import date
from pathlib import Path

import jinja2

from autograder.grading import course
from autograder.grading.spreadsheet import as_csv
from autograder.results.class_result import NothingToReport, read_cells, read_class
from autograder.results.feedback import title_of
from autograder.results.figures import figures
from autograder.results.items import items, items_csv
from autograder.results.misconceptions import bank_messages, misconceptions, without_students
from autograder.results.similarity import near_identical


def template(name):
    loader = jinja2.FileSystemLoader(Path(__file__).resolve().parent / "templates")
    return jinja2.Environment(loader=loader, autoescape=True, trim_blocks=True, lstrip_blocks=True).get_template(name)


def write_report(work, assignment, out, public=False, root=course.ROOT):
    """Writes the page and the CSV files into the folder `out`; returns their paths. Raises NothingToReport."""
    result = read_class(work, assignment, root)
    groups = misconceptions(result, bank_messages(assignment, root))
    exercises, active = items(result), result.active
    alike = near_identical(
        {student: [answer.source for answer in result.answers[student].values()] for student in active},
        [read_cells(root / "notebooks" / assignment / f"{assignment}.ipynb")[name].source for name in result.worth],
    )
    if public:
        groups = {name: without_students(found, result.names) for name, found in groups.items()}
    header, rows = course.class_table(work, assignment)
    totals = [result.total(student) for student in active]
    page = template("report.html.j2").render(
        result=result,
        public=public,
        today=date.today().isoformat(),
        active=active,
        empty=[student for student in result.answers if student not in active],
        most=sum(result.worth.values()),
        mean=statistics.fmean(totals) if totals else None,
        median=statistics.median(totals) if totals else None,
        waiting=sum(map(len, result.to_grade.values())),
        figures=figures(result),
        title=title_of(assignment, root) or assignment,
        items=exercises,
        groups=groups,
        alike=alike,
        late=sorted(name for name, hours in result.hours.items() if hours < 0),
        margin=statistics.median(result.hours.values()) if result.hours else None,
        odd={student: notes for student, notes in result.notes.items() if notes},
        header=header,
        rows=rows,
    )
    stem = f"{assignment}_public" if public else assignment
    written = {f"{stem}.html": page, f"{stem}.csv": items_csv(exercises, groups)}
    if not public:
        written[f"{stem}_scores.csv"] = as_csv(header, rows)
    return course.write_texts(Path(out), written)


def add_arguments(parser):
    default = Path(os.environ.get("COURSE_WORK", course.ROOT / "autograder"))
    parser.add_argument("assignment", metavar="NN_topic")
    parser.add_argument("--public", action="store_true", help="leave out whatever points to a student")
    parser.add_argument("--work", type=Path, default=default, help="where the class was graded")
    parser.add_argument("--out", type=Path, help="where to write; default: the folder report of --work")


def run(options):
    """Exit code: 0, or 1 where there is nothing to report on."""
    try:
        written = write_report(options.work, options.assignment, options.out or options.work / "report", options.public)
    except NothingToReport as error:
        print(error, file=sys.stderr)
        return 1
    print("\n".join(map(str, written)))
    return 0
