"""Which scores a re-grading moved, and why."""

from collections import Counter

import nbformat
from nbgrader.api import Gradebook

from autograder.grading import course

HEADER = ["student", "cell", "before", "of", "after", "of now", "by hand", "why"]


def answers(folder, student, assignment):
    """{cell: text} of a graded notebook, {} where there is none."""
    try:
        cells = nbformat.read(folder / "autograded" / student / assignment / f"{assignment}.ipynb", as_version=4).cells
    except OSError:
        return {}
    marked = [cell for cell in cells if "grade_id" in cell.metadata.get("nbgrader", {})]
    return {cell.metadata.nbgrader.grade_id: cell.source for cell in marked}


class Moves:
    """What moved between two snapshots, and why. `old` and `new` are the folders with the graded notebooks."""

    def __init__(self, assignment, before, after, renamed, old, new):
        self.before, self.after, self.assignment = before, after, assignment
        self.back = {name: earlier for earlier, name in renamed.items()}
        self.folders = old, new
        self.graded = {path.parent.parent.name for path in new.glob(f"autograded/*/{assignment}/*.ipynb")}

    def same_answer(self, student, cell):
        """Whether the student's own part of the exercise is what it was."""
        base = course.exercise_of(cell)
        then = self.back.get(base, base)
        old, new = (answers(folder, student, self.assignment) for folder in self.folders)
        return new.get(base) in (old.get(then), f"{old.get(then)}\n\n{base} = {then}")

    def same_test(self, cell):
        old, new = self.before.cells.get(self.back.get(cell, cell)), self.after.cells.get(cell)
        setups = [{n: c.source for n, c in s.cells.items() if n.startswith("setup")} for s in (self.before, self.after)]
        return old == new and setups[0] == setups[1]

    def rows(self):
        """One row for each student and cell whose score, maximum or place changed, in HEADER's columns."""
        found = []
        for student, scores in sorted(self.before.scores.items()):
            now = self.after.scores.get(student, {})
            for cell in dict.fromkeys([*now, *(new_cell for new_cell in map(self.current, scores))]):
                row = self.row(student, cell, scores.get(self.back.get(cell, cell)), now.get(cell))
                if row:
                    found.append(row)
        return found

    def current(self, cell):
        return next((new for new, old in self.back.items() if old == cell), cell)

    def row(self, student, cell, old, new):
        if old and new and (old.score, old.of) == (new.score, new.of) and cell not in self.back:
            return None
        values = [old.score if old else "", old.of if old else "", new.score if new else "", new.of if new else ""]
        by_hand = next((s.by_hand for s in (new, old) if s and s.by_hand is not None), "")
        return [student, cell, *values, by_hand, self.why(student, cell, old, new)]

    def why(self, student, cell, old, new):
        if new is None:
            return "cell removed"
        if student not in self.graded:
            return "its submission is gone: not graded again"
        reasons = []
        if cell in self.back:
            reasons.append(f"renamed from {self.back[cell]}")
        if old is None:
            reasons.append("new cell")
        elif old.of != new.of:
            reasons.append(f"points {old.of:g} -> {new.of:g}")
        before, after = self.before.cells.get(self.back.get(cell, cell)), self.after.cells.get(cell)
        if old and before.source != after.source and cell not in self.back:
            reasons.append("the test changed")
        elif old and not self.same_test(cell) and not reasons:
            reasons.append("the set-up changed")
        if old and not self.same_answer(student, cell):
            reasons.append("another answer was handed in")
        return "; ".join(reasons) or "same test, same answer: read both"


def settle(url, moves):
    """Takes "needs manual grade" off where a person had graded and nothing has changed; nbgrader puts it on all."""
    settled = 0
    with Gradebook(url) as gradebook:
        for student, scores in moves.before.scores.items():
            for old, score in scores.items():
                cell = moves.current(old)
                if score.by_hand is None or score.waits or cell not in moves.after.scores.get(student, {}):
                    continue
                if moves.same_test(cell) and moves.same_answer(student, cell):
                    grade = gradebook.find_grade(cell, moves.assignment, moves.assignment, student)
                    grade.needs_manual_grade, settled = False, settled + 1
        gradebook.db.commit()
    return settled


def summary(rows, settled):
    moved = {}
    for student, _, before, _, after, *_ in rows:
        moved[student] = moved.get(student, 0) + (after or 0) - (before or 0)
    changed = {student: change for student, change in moved.items() if change}
    lines = [f"{len(changed)} students' points moved; {settled} scores given by hand stand as they were."]
    lines += [f"  {student}: {change:+g}" for student, change in sorted(changed.items(), key=lambda item: item[1])]
    counts = Counter((row[1], row[7]) for row in rows)
    lines += [f"{count:4} x {cell}: {why}" for (cell, why), count in counts.most_common()]
    return "\n".join(lines)
