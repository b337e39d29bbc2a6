"""Grade a class on every core, or on a Dask cluster: the same scores and the same gradebook as `nbgrader autograde`.

    python -m autograder grade NN_topic [--jobs N] [--student ada] [--force] [--dask tcp://HOST:8786]

A killed run goes on where it stopped when the same command is given again.
"""

import contextlib
import os
import sys
import time
from collections import deque
from pathlib import Path

from nbgrader.converters.base import NbGraderException
from sqlalchemy.exc import IntegrityError, SQLAlchemyError
from tqdm import tqdm

from autograder.grading import cluster, course, workers
from autograder.grading.journal import STOPPED, Journal, last_line, opening, summary
from autograder.grading.ledger import Ledger
from autograder.outside import devices

ATTEMPTS = 2  # then an empty submission takes its place: if that can be graded, it was the submission's fault


class CannotGrade(RuntimeError):
    """The run cannot start or go on; the text says why and what to do."""


@contextlib.contextmanager
def alone(folder):
    """Keeps a second run of the same assignment out."""
    import fcntl  # not on Windows, where grading has no jail either

    folder.mkdir(parents=True, exist_ok=True)
    with open(folder / "lock", "w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise CannotGrade(f"another run is grading here ({folder}): wait for it or stop it") from None
        yield


class Run:
    """Gives out the work, records what comes back, asks again for what was lost."""

    def __init__(self, ledger, pool, journal, logs):
        self.ledger, self.pool, self.journal, self.logs = ledger, pool, journal, logs
        self.recorded, self.own_s = set(), 0.0

    def grade(self, students, bar):
        """Raises CannotGrade where even an empty submission cannot be graded: then nobody's zero is their own."""
        waiting, again = deque(students), deque()
        while waiting or again or self.pool.num_running:
            while waiting and self.pool.num_running < self.pool.size:
                batch = [waiting.popleft() for _ in range(min(self.pool.batch, len(waiting)))]
                with self.own_time():
                    self.pool.submit([self.ledger.task(student, 1) for student in batch])
            if again and not waiting and not self.pool.num_running:
                self.pool.submit([self.ledger.task(*again.popleft())])  # alone: no neighbour takes its memory
            for result in self.pool.results():
                if result["student"] in self.recorded:
                    continue
                with self.own_time():
                    repeat = self.take(result)
                if repeat:
                    again.append(repeat)
                else:
                    bar.update()
            bar.set_postfix_str(f"{len(again)} to try again" if again else "", refresh=False)

    @contextlib.contextmanager
    def own_time(self):
        start = time.monotonic()
        yield
        self.own_s += time.monotonic() - start

    def take(self, result):
        """Records a result; returns (student, attempt, problem) where it must be tried again."""
        student, attempt = result["student"], result["attempt"]
        if result["status"] == "graded":
            try:
                self.ledger.record(result)
            except IntegrityError as error:
                result |= {"status": "failed", "log": f"somebody else recorded it meanwhile: {error}"}
        if result["status"] == "graded":
            self.recorded.add(student)
            entry = {key: result[key] for key in ("student", "attempt", "seconds", "score", "waiting", "notes")}
            self.journal.add(entry)
            return None
        log = self.logs / f"{student}.log"
        with open(log, "w" if attempt == 1 else "a", encoding="utf-8") as file:
            file.write(f"attempt {attempt}: {result.get('reason', 'nbgrader gave it up')}\n{result['log']}\n\n")
        if attempt > ATTEMPTS:
            raise CannotGrade(f"an empty submission cannot be graded here either, so the run stops; see {log}")
        if attempt < ATTEMPTS:
            return student, attempt + 1
        return student, attempt + 1, result.get("reason") or last_line(result["log"])


def grade(assignment, work, jobs=1, patterns=("*",), force=False, dask=None):
    """Grades what is handed in; returns (summary, number of submissions left ungraded). Raises CannotGrade."""
    folder = Path(work) / "runs" / assignment
    why = "" if dask else devices.objection_to(assignment)
    if why:
        raise CannotGrade(why)
    with alone(folder):
        pool = cluster.DaskPool(dask) if dask else workers.LocalPool(jobs)
        try:
            outdated = pool.workers_of_another_version(assignment) if dask else []
            if outdated:
                raise CannotGrade(f"another version of the course is on {', '.join(outdated)}: bring it up to date")
            return grade_with(pool, assignment, folder, patterns, force)
        except KeyboardInterrupt:
            raise CannotGrade("stopped by Ctrl-C before anything was graded") from None
        finally:
            pool.close()


def grade_with(pool, assignment, folder, patterns, force):
    """Loads the class and grades it on the processes of `pool`."""
    try:
        ledger = Ledger(assignment, folder)
    except NbGraderException as error:
        raise CannotGrade(str(error)) from None
    students = ledger.take_in(patterns)
    if not students:
        place = ledger.folder("submitted", "STUDENT")
        raise CannotGrade(f"nothing to grade: no submission fits {' '.join(patterns)} in {place}")
    journal = Journal(folder, {"force": force, "patterns": list(patterns), "course": ledger.fingerprint})
    logs = logs_of(folder, journal)
    todo = [student for student in students if is_to_do(student, ledger, journal, force)]
    print(opening(len(students), len(todo), journal.goes_on, force), flush=True)
    pool.need(len(todo))
    run, start = Run(ledger, pool, journal, logs), time.monotonic()
    trouble = go(run, todo, len(students))
    left = [student for student in todo if student not in run.recorded]
    journal.close(run.own_s, ended=not left)
    text = summary(assignment, list(journal.entries.values()), time.monotonic() - start, pool, left, trouble, logs)
    (folder / "summary.txt").write_text(text, encoding="utf-8")
    ledger.close()
    return text, len(left)


def logs_of(folder, journal):
    """The folder for the logs of what goes wrong, empty at the start of a new run."""
    logs = folder / "logs"
    logs.mkdir(exist_ok=True)
    if not journal.goes_on:
        for path in logs.glob("*.log"):
            path.unlink()
    return logs


def is_to_do(student, ledger, journal, force):
    return student not in journal.entries if force else not ledger.is_graded(student)


def go(run, todo, num_students):
    """Grades; returns what stopped it, "" where nothing did."""
    try:
        pace = {"smoothing": 0.05, "mininterval": 0.5 if sys.stderr.isatty() else 30}  # a log file gets few lines
        with tqdm(total=num_students, initial=num_students - len(todo), unit="submission", **pace) as bar:
            run.grade(todo, bar)
    except KeyboardInterrupt:
        return STOPPED
    except (CannotGrade, OSError, SQLAlchemyError) as error:  # no disk left, no database
        return f"stopped: {error}"
    return ""


def add_arguments(parser):
    parser.add_argument("assignment", metavar="NN_topic")
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    parser.add_argument("--jobs", type=int, default=cores, metavar="N", help="processes; without it one per core")
    parser.add_argument(
        "--student", action="append", metavar="ID", help="only this one, or a pattern such as 'a*'; may be repeated"
    )
    parser.add_argument("--force", action="store_true", help="grade again what is graded; marks by hand stay")
    parser.add_argument("--dask", metavar="ADDRESS", help="grade on the workers of this cluster, tcp://HOST:8786")
    parser.add_argument("--work", type=Path, help="the class's folder (COURSE_WORK or autograder/)")


def run(options):
    """Exit code: 0 where every submission is graded, 1 where some are not, 130 after Ctrl-C."""
    name = options.assignment
    if not (course.ROOT / "notebooks" / name / f"{name}.ipynb").exists():
        print(f"no assignment {name} in notebooks/", file=sys.stderr)
        return 1
    if options.jobs < 1:
        print(f"--jobs {options.jobs}: at least one process is needed", file=sys.stderr)
        return 1
    if options.work:
        os.environ["COURSE_WORK"] = str(options.work.resolve())
    work = os.environ.get("COURSE_WORK", str(course.ROOT / "autograder"))
    try:
        patterns = tuple(options.student or "*")
        text, left = grade(name, work, options.jobs, patterns, options.force, options.dask)
    except CannotGrade as error:
        print(error, file=sys.stderr)
        return 1
    except ImportError as error:
        if not options.dask:
            raise
        print(f"{error}: pip install -e '.[dask]' here and on every worker", file=sys.stderr)
        return 1
    except OSError as error:  # no scheduler at that address
        print(f"{options.dask or work}: {error}", file=sys.stderr)
        return 1
    print("\n" + text)
    return 130 if f"\n{STOPPED}\n" in text else int(left > 0)
