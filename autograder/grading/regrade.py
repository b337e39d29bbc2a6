"""After a changed test: python -m autograder regrade NN_topic [--rename old=new] | --restore FOLDER

Everything is done on a copy: gradebook, submissions and release go to regrade/NN_topic_TIME/new, where the gradebook's
cells are made those of the new version and the class is graded again. Only when all of that has worked do the new
gradebook and the new graded notebooks take the place of the old ones, which stay in regrade/NN_topic_TIME/before.
Scores, comments and extra credit given by hand stay. A table says what moved, and why.
"""

import contextlib
import json
import os
import shutil
import sqlite3
import subprocess
import sys
from datetime import datetime
from pathlib import Path

from autograder.grading import course
from autograder.grading.moves import HEADER, Moves, settle, summary
from autograder.grading.new_version import bring_up_to_date, wanted_cells
from autograder.grading.snapshot import CannotRegrade, read_gradebook
from autograder.grading.spreadsheet import as_csv
from autograder.intake.collect import is_plain


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
        (this.folder / "moved.csv").write_text(as_csv(HEADER, rows), encoding="utf-8")
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
