"""`nbgrader export` as a CSV that a spreadsheet may open: quoted, and nothing in it is taken for a formula."""

from pathlib import Path

from nbgrader.api import MissingEntry
from nbgrader.plugins import CsvExportPlugin

from autograder.grading.spreadsheet import as_csv

ABOUT = ("assignment", "duedate", "timestamp", "student_id", "last_name", "first_name", "email")
SCORES = ("raw_score", "late_submission_penalty", "score", "max_score")


class CourseExport(CsvExportPlugin):
    """nbgrader's own columns and rows."""

    def export(self, gradebook):
        only_students, only_assignments = set(map(str, self.student)), set(map(str, self.assignment))
        rows = [
            row(gradebook, assignment, student)
            for assignment in gradebook.assignments
            for student in gradebook.students
            if (not only_assignments or assignment.name in only_assignments)
            and (not only_students or student.id in only_students)
        ]
        place = Path(self.to or "grades.csv")
        self.log.info("Exporting grades to %s", place)
        place.write_text(as_csv([*ABOUT, *SCORES], rows), encoding="utf-8")


def row(gradebook, assignment, student):
    """Who handed in nothing has a row of zeros, as nbgrader has it."""
    try:
        found = gradebook.find_submission(assignment.name, student.id)
        score, penalty, came = found.score, found.late_submission_penalty or 0.0, found.timestamp
    except MissingEntry:
        score, penalty, came = 0.0, 0.0, None
    about = (
        assignment.name,
        assignment.duedate,
        came,
        student.id,
        student.last_name,
        student.first_name,
        student.email,
    )
    texts = ["" if value is None else str(value) for value in about]
    return [*texts, score, penalty, max(0.0, score - penalty), assignment.max_score]
