"""After a changed test: python -m autograder regrade NN_topic [--rename old=new] | --restore FOLDER

Everything is done on a copy: gradebook, submissions and release go to regrade/NN_topic_TIME/new, where the gradebook's
cells are made those of the new version and the class is graded again. Only when all of that has worked do the new
gradebook and the new graded notebooks take the place of the old ones, which stay in regrade/NN_topic_TIME/before.
Scores, comments and extra credit given by hand stay. A table says what moved, and why.
"""

import contextlib
import json
import os
import re
import shutil
import sqlite3
import subprocess
import sys
from collections import Counter
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

import nbformat
from nbgrader import utils
from nbgrader.api import Comment, Grade, Gradebook, MissingEntry

from autograder import build_notebooks, course
from autograder.collect import is_plain

HEADER = ["student", "cell", "before", "of", "after", "of now", "by hand", "why"]


class CannotRegrade(RuntimeError):
    """Nothing was changed; the text says why and what to do."""


@dataclass
class Cell:
    """A cell of the gradebook. points is None where it is not graded."""

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
        cells = {cell.name: Cell(cell.source, points.get(cell.name)) for cell in notebook.source_cells}
        found = Snapshot(cells, {})
        for submission in notebook.submissions:
            found.scores[submission.student.id] = {
                g.name: Score(g.score, g.max_score, g.manual_score, g.extra_credit, bool(g.needs_manual_grade))
                for g in submission.grades
            }
            found.comments[submission.student.id] = {c.name: c.manual_comment for c in submission.comments}
        return found


def wanted_cells(assignment, root):
    """{grade_id: cell} of the source notebook. Raises CannotRegrade where it is older than its script."""
    script = root / "solutions" / assignment / f"{assignment}.py"
    if not script.exists():
        raise CannotRegrade(f"no assignment {assignment} in solutions/")
    made = build_notebooks.build(script, root / "notebooks", build_notebooks.course_config())
    stale = [path for path, content in made.items() if not path.exists() or path.read_bytes() != content]
    if stale:
        raise CannotRegrade(f"{stale[0].name} is stale: run `python -m autograder.build_notebooks {assignment}` first")
    cells = nbformat.read(script.with_suffix(".ipynb"), as_version=4).cells
    return {cell.metadata.nbgrader.grade_id: cell for cell in cells if "nbgrader" in cell.metadata}


def bring_up_to_date(url, assignment, wanted, renames):
    """Makes the gradebook's cells those of `wanted`; returns {old name: new name} of the cells that were renamed.

    nbgrader refuses to add or remove cells under submissions; it updates texts and points itself afterwards.
    """
    renamed = {}
    with Gradebook(url) as gradebook:
        notebook = gradebook.find_notebook(assignment, assignment)
        for group in (list(notebook._base_cells), list(notebook.source_cells)):
            for cell in group:
                new = new_name(cell.name, renames)
                if new != cell.name and cell.name not in wanted and new in wanted:
                    renamed[cell.name] = cell.name = new
        gradebook.db.flush()
        for cell in list(notebook._base_cells):
            if not is_wanted(cell, wanted):
                for row in [*cell.grades, *cell.comments]:
                    gradebook.db.delete(row)
                gradebook.db.delete(cell)
        for cell in list(notebook.source_cells):
            if cell.name not in wanted:
                gradebook.db.delete(cell)
        gradebook.db.commit()
        gradebook.db.expire_all()
        add_cells(gradebook, assignment, wanted)
    return renamed


def new_name(name, renames):
    prefix, base = re.match(r"((?:test_|hidden_|answer_|task_)?)(.*)", name).groups()
    return prefix + renames.get(base, base)


def is_wanted(cell, wanted):
    there = wanted.get(cell.name)
    return there is not None and {"GradeCell": utils.is_grade, "SolutionCell": utils.is_solution}[type(cell).__name__](
        there
    )


def add_cells(gradebook, assignment, wanted):
    notebook = gradebook.find_notebook(assignment, assignment)
    graded, solved = ({cell.name for cell in cells} for cells in (notebook.grade_cells, notebook.solution_cells))
    sources = {cell.name for cell in notebook.source_cells}
    for name, cell in wanted.items():
        place, submissions = (name, assignment, assignment), list(notebook.submissions)
        if utils.is_grade(cell) and name not in graded:
            points = float(cell.metadata.nbgrader.points)
            added = gradebook.add_grade_cell(*place, max_score=points, cell_type=cell.cell_type)
            gradebook.db.add_all(Grade(cell_id=added.id, notebook=one) for one in submissions)
        if utils.is_solution(cell) and name not in solved:
            added = gradebook.add_solution_cell(*place)
            gradebook.db.add_all(Comment(cell_id=added.id, notebook=one) for one in submissions)
        if name not in sources:
            gradebook.add_source_cell(
                *place, cell_type=cell.cell_type, source=cell.source, locked=utils.is_locked(cell)
            )
    gradebook.db.commit()


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


class Round:
    """The folders of one re-grading: regrade/NN_topic_TIME with new/ to work in and before/ to go back to."""

    def __init__(self, work, assignment, root):
        self.work, self.assignment, self.root = Path(work).resolve(), assignment, root
        url = course.database(work)
        if not url.startswith("sqlite:///"):
            raise CannotRegrade(
                "NBGRADER_DB_URL names a database server, of which this command can make no copy: copy the gradebook "
                "into a file with your server's tools, or grade again by `nbgrader autograde --force`, cells unchanged"
            )
        self.database = Path(url.removeprefix("sqlite:///"))
        if not self.database.exists():
            raise CannotRegrade(f"no gradebook in {work}: run `nbgrader autograde {assignment}` first")
        self.folder = self.work / "regrade" / f"{assignment}_{datetime.now():%Y-%m-%d_%H-%M-%S}"
        self.new, self.before = self.folder / "new", self.folder / "before"
        self.url = f"sqlite:///{self.new / 'gradebook.db'}"

    def set_up(self):
        self.new.mkdir(parents=True)
        self.before.mkdir()
        self.seen = self.database.read_bytes()
        copy_database(self.database, self.before / "gradebook.db")
        shutil.copyfile(self.before / "gradebook.db", self.new / "gradebook.db")
        for name in ("submitted", "quarantine"):
            for folder in self.work.glob(f"{name}/*/{self.assignment}"):
                shutil.copytree(folder, self.new / folder.relative_to(self.work), symlinks=True, ignore=only_plain)
        for folder in self.work.glob(f"received/{self.assignment}"):
            shutil.copytree(folder, self.new / "received" / self.assignment)

    def run(self, *command):
        environment = {**os.environ, "COURSE_WORK": str(self.new), "PYTHONPATH": str(self.root), "MPLBACKEND": "agg"}
        environment.pop("NBGRADER_DB_URL", None)
        environment.setdefault("OMP_NUM_THREADS", "1")
        done = subprocess.run(
            [sys.executable, "-m", *command], cwd=self.root, env=environment, stderr=subprocess.PIPE, text=True
        )
        if done.returncode:
            raise CannotRegrade(f"{' '.join(command)} exits with {done.returncode}:\n{done.stderr[-3000:]}")

    def take_over(self):
        """Puts the new state in the place of the old one; on any error the old one is put back."""
        if self.database.read_bytes() != self.seen:
            raise CannotRegrade("someone changed the gradebook meanwhile: run the command again")
        graded = self.new.glob(f"autograded/*/{self.assignment}")
        moved = [str(path.relative_to(self.new)) for path in graded]
        moved += [f"notebooks/{self.assignment}"] if (self.work / "notebooks" / self.assignment).is_dir() else []
        moved += [f"received/{self.assignment}"] if (self.new / "received" / self.assignment).is_dir() else []
        (self.before / "moved.json").write_text(json.dumps({name: (self.work / name).exists() for name in moved}))
        try:
            for name in moved:
                put(self.work / name, self.before / name)
                put(self.new / name, self.work / name)
            copy_database(self.new / "gradebook.db", self.database)
        except BaseException:
            restore(self.work, self.folder, self.database)
            raise


def only_plain(folder, names):
    return [name for name in names if not is_plain(os.path.join(folder, name))]


def copy_database(source, target):
    """In one transaction, into the same file: a formgrader that has the gradebook open goes on with the new content."""
    with contextlib.closing(sqlite3.connect(source)) as old, contextlib.closing(sqlite3.connect(target)) as new:
        old.backup(new)


def put(source, target):
    """Moves a folder; where there is none, nothing."""
    if source.exists():
        target.parent.mkdir(parents=True, exist_ok=True)
        os.replace(source, target)


def restore(work, folder, database):
    """Puts back what a re-grading replaced. The copies in `folder` stay, so that it can be done again."""
    before = Path(folder) / "before"
    if not (before / "gradebook.db").exists():
        raise CannotRegrade(f"{folder} is not a folder that regrade left behind")
    names = json.loads((before / "moved.json").read_text()) if (before / "moved.json").exists() else {}
    for name, was_there in names.items():
        if (before / name).exists() or not was_there:
            shutil.rmtree(work / name, ignore_errors=True)
        if (before / name).exists():
            shutil.copytree(before / name, work / name)
    copy_database(before / "gradebook.db", database)


def regrade(work, assignment, renames=None, jobs=1, root=course.ROOT):
    """Re-grades a class; returns (rows in HEADER's columns, the folder, how many hand-given scores stand unchanged).

    renames: {old exercise: new exercise}. Raises CannotRegrade, and then nothing has changed.
    """
    wanted = wanted_cells(assignment, root)
    this = Round(work, assignment, root)
    before = read_gradebook(course.database(work), assignment)
    try:
        this.set_up()
        renamed = bring_up_to_date(this.url, assignment, wanted, renames or {})
        unknown = set(renames or {}) - {course.exercise_of(name).removeprefix("answer_") for name in renamed}
        if unknown:
            raise CannotRegrade(f"--rename: the gradebook has no {', '.join(sorted(unknown))} that is gone now")
        count = len(list(this.new.glob(f"submitted/*/{assignment}")))
        print(f"grading {count} submissions again on a copy, {this.new}", flush=True)
        write_renames(this.new / "received" / assignment / "renamed.json", renames or {})
        this.run("nbgrader", "generate_assignment", assignment, "--force")
        if jobs > 1:
            this.run("autograder", "grade", assignment, "--jobs", str(jobs))
        else:
            this.run("nbgrader", "autograde", assignment)
        moves = Moves(assignment, before, read_gradebook(this.url, assignment), renamed, this.work, this.new)
        settled, rows = settle(this.url, moves), moves.rows()
        (this.folder / "moved.csv").write_text(course.as_csv(HEADER, rows), encoding="utf-8")
        this.take_over()
    except BaseException:
        if not (this.before / "moved.json").exists():  # nothing to go back to
            shutil.rmtree(this.folder, ignore_errors=True)
        raise
    finally:
        shutil.rmtree(this.new, ignore_errors=True)
    return rows, this.folder, settled


def write_renames(path, renames):
    """Remembers under which name older submissions have an exercise, for the intake."""
    if renames:
        path.parent.mkdir(parents=True, exist_ok=True)
        known = json.loads(path.read_text()) if path.exists() else {}
        path.write_text(json.dumps({old: renames.get(new, new) for old, new in known.items()} | renames))


def add_arguments(parser):
    default = Path(os.environ.get("COURSE_WORK", course.ROOT / "autograder"))
    parser.add_argument("assignment", metavar="NN_topic")
    parser.add_argument("--rename", action="append", default=[], metavar="OLD=NEW", help="an exercise got another name")
    parser.add_argument("--jobs", type=int, default=1, help="how many submissions at a time")
    parser.add_argument("--restore", type=Path, metavar="FOLDER", help="go back to what a re-grading replaced")
    parser.add_argument("--work", type=Path, default=default, help="the folder of the class")


def run(options):
    """Exit code: 0, or 1 where nothing was changed."""
    try:
        if options.restore:
            database = Round(options.work, options.assignment, course.ROOT).database
            restore(options.work.resolve(), options.restore, database)
            print(f"the gradebook and the graded notebooks are those of {options.restore / 'before'} again")
            return 0
        renames = dict(pair.split("=", 1) for pair in options.rename)
        rows, folder, settled = regrade(options.work, options.assignment, renames, options.jobs)
    except (CannotRegrade, ValueError) as error:
        print(f"{error}\nNothing was changed.", file=sys.stderr)
        return 1
    print(summary(rows, settled))
    print(f"\n{folder / 'moved.csv'}\nback: python -m autograder regrade {options.assignment} --restore {folder}")
    print(f"then: nbgrader generate_feedback {options.assignment} --force")
    return 0


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
