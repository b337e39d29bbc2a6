"""A gradebook's view of one assignment, to compare before and after."""

from dataclasses import dataclass, field

from nbgrader.api import Gradebook, MissingEntry

from autograder.assignment.notebooks import bare


class CannotRegrade(RuntimeError):
    """Nothing was changed; the text says why and what to do."""


@dataclass
class Cell:
    """A cell of the gradebook; source does not say its points. points is None where it is not graded."""

    source: str
    points: float | None = None


@dataclass
class Score:
    """What one student has in one cell. answer: the text in the graded notebook."""

    score: float
    of: float
    by_hand: float | None
    extra: float | None
    waits: bool


@dataclass
class Snapshot:
    """A gradebook's view of one assignment: {cell: Cell}, {student: {cell: Score}}, {student: {cell: comment}}."""

    cells: dict
    scores: dict
    comments: dict = field(default_factory=dict)


def read_gradebook(url, assignment):
    with Gradebook(url) as gradebook:
        try:
            [notebook] = gradebook.find_assignment(assignment).notebooks
        except (MissingEntry, ValueError):
            raise CannotRegrade(f"nothing of {assignment} is graded: run `nbgrader autograde {assignment}`") from None
        points = {cell.name: cell.max_score for cell in notebook.grade_cells}
        cells = {cell.name: Cell(bare(cell.source), points.get(cell.name)) for cell in notebook.source_cells}
        found = Snapshot(cells, {})
        for submission in notebook.submissions:
            found.scores[submission.student.id] = {
                g.name: Score(g.score, g.max_score, g.manual_score, g.extra_credit, bool(g.needs_manual_grade))
                for g in submission.grades
            }
            found.comments[submission.student.id] = {c.name: c.manual_comment for c in submission.comments}
        return found
