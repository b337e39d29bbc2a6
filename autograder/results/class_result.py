"""A graded class, read from the gradebook and the graded notebooks. Nothing of a submission is executed."""

import os
from dataclasses import dataclass, field
from pathlib import Path

import nbformat
from nbgrader.api import Gradebook, MissingEntry

from autograder.assignment.script import read_script
from autograder.grading import course
from autograder.intake.graft import notes_of
from autograder.results.feedback import message_of, read_lead_in, syntax_fault


class NothingToReport(RuntimeError):
    """The class cannot be reported on; the text is one line that says what to do."""


@dataclass
class Answer:
    """What one student made of one exercise. `messages`: what the visible and the hidden check said, "" if passed."""

    source: str = ""
    blank: bool = True
    points: float = 0.0
    messages: tuple = ("", "")


@dataclass
class ClassResult:
    """A graded class: {student: {exercise: Answer}}, and what waits or is missing."""

    assignment: str
    titles: dict
    worth: dict
    answers: dict
    written: dict  # {student: {written answer: text}}
    to_grade: dict  # {written answer: [student]}
    absent: list
    names: set  # words that identify a student
    notes: dict = field(default_factory=dict)  # {student: what the intake had to say}
    hours: dict = field(default_factory=dict)  # {student: hours from handing in to the due date, below 0 if late}

    @property
    def active(self):
        """Students who wrote at least one answer."""
        return [
            student
            for student, answers in self.answers.items()
            if any(not answer.blank for answer in answers.values()) or any(self.written[student].values())
        ]

    def total(self, student):
        return sum(answer.points for answer in self.answers[student].values())


def read_class(work, assignment, root=course.ROOT):
    """The ClassResult of an assignment graded in the folder `work`. Raises NothingToReport."""
    script = root / "solutions" / assignment / f"{assignment}.py"
    if not script.exists():
        raise NothingToReport(f"no assignment {assignment} in solutions/")
    if "NBGRADER_DB_URL" not in os.environ and not Path(work, "gradebook.db").exists():
        raise NothingToReport(f"no gradebook in {work}: run `nbgrader autograde {assignment}` first")
    try:
        scores, worth = course.grades(work, assignment), course.max_scores(work, assignment)
    except MissingEntry:
        scores = worth = {}
    if not scores:
        raise NothingToReport(f"no graded submission of {assignment}: run `nbgrader autograde {assignment}` first")
    with Gradebook(course.database(work)) as gradebook:
        people = [(s.id, s.first_name, s.last_name, s.email) for s in gradebook.students]
        times = {s.student.id: (s.duedate, s.timestamp) for s in gradebook.assignment_submissions(assignment)}
    cells = read_script(script)
    result = ClassResult(
        assignment,
        titles={cell.name: read_lead_in(cell.source)[0] for cell in cells if cell.kind == "task"},
        worth={
            cell.name: worth.get(f"test_{cell.name}", 0) + worth.get(f"hidden_{cell.name}", 0)
            for cell in cells
            if cell.kind == "solution"
        },
        answers={},
        written={},
        to_grade={f"answer_{cell.name}": [] for cell in cells if cell.kind == "answer"},
        absent=sorted(person[0] for person in people if person[0] not in scores),
        names={word for person in people for word in person if word},
        hours={name: (due - came).total_seconds() / 3600 for name, (due, came) in times.items() if due and came},
    )
    release = read_cells(root / "notebooks" / assignment / f"{assignment}.ipynb")
    for student in sorted(scores):
        add_student(result, student, scores[student], release, work)
    return result


def read_cells(path):
    """{grade_id: cell} of a notebook; empty where there is none."""
    return by_grade_id(nbformat.read(path, as_version=4).cells) if path.exists() else {}


def messages(source, tests):
    """What the visible and the hidden check said; where the answer is no Python, that, and not which names it lacks."""
    said = [message_of(test) if test else "" for test in tests]
    fault = syntax_fault(source)
    return tuple(fault["text"] if fault and text.startswith("NameError") else text for text in said)


def by_grade_id(cells):
    return {cell.metadata.nbgrader.grade_id: cell for cell in cells if "nbgrader" in cell.metadata}


def add_student(result, student, scores, release, work):
    assignment = result.assignment
    path = Path(work, "autograded", student, assignment, f"{assignment}.ipynb")
    found = nbformat.read(path, as_version=4).cells if path.exists() else []
    cells, result.notes[student] = by_grade_id(found), notes_of(found)

    def text(name):
        source = cells[name].source if name in cells else ""
        return "" if name in release and source.strip() == release[name].source.strip() else source

    result.answers[student] = {}
    for name in result.worth:
        tests = [f"{kind}_{name}" for kind in ("test", "hidden")]
        result.answers[student][name] = Answer(
            source=text(name),
            blank=not text(name).strip(),
            points=sum(scores.get(test) or 0 for test in tests),
            messages=messages(text(name), [cells.get(test) for test in tests]),
        )
    result.written[student] = {name: text(name) for name in result.to_grade}
    for name, score in scores.items():
        if score is None:
            result.to_grade.setdefault(name, []).append(student)
