"""Grade a class on every core, or on a Dask cluster: the same scores and the same gradebook as `nbgrader autograde`.

    python -m autograder grade NN_topic [--jobs N] [--student ada] [--force] [--dask tcp://HOST:8786]

A killed run goes on where it stopped when the same command is given again.
"""

import contextlib
import json
import os
import re
import sys
import time
from collections import Counter, deque
from datetime import UTC, datetime
from pathlib import Path

from tqdm import tqdm

from autograder import course

HERE = Path(__file__).resolve().parent
ATTEMPTS = 2  # then an empty submission takes its place: if that can be graded, it was the submission's fault
STOPPED = "stopped by Ctrl-C"
LINES = 40  # of each list in the summary


class CannotGrade(RuntimeError):
    """The run cannot start or go on; the text says why and what to do."""


class Journal:
    """What a run did so far, one JSON line per submission, so that a killed run can go on and still sum up."""

    def __init__(self, folder, header):
        self.path, self.entries = folder / "journal.jsonl", {}
        self.goes_on = False
        if self.path.exists():
            lines = []
            for line in self.path.read_text(encoding="utf-8").splitlines():
                with contextlib.suppress(ValueError):  # the line that was being written when the run was killed
                    lines.append(json.loads(line))
            if lines and lines[0] == header and "ended" not in lines[-1]:
                self.goes_on = True
                self.entries = {line["student"]: line for line in lines[1:] if "student" in line}
        self.file = open(self.path, "a" if self.goes_on else "w", encoding="utf-8")
        self.write({} if self.goes_on else header)

    def write(self, line):
        self.file.write(json.dumps(line) + "\n")
        self.file.flush()

    def add(self, entry):
        self.entries[entry["student"]] = entry
        self.write(entry)

    def close(self, own_s, ended):
        """own_s: seconds that this process itself worked, rather than waited for the graders."""
        self.write({"own_s": own_s} | ({"ended": now()} if ended else {}))
        self.file.close()


def now():
    return datetime.now(UTC).strftime("%Y-%m-%d %H:%M:%S UTC")


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
        from sqlalchemy.exc import IntegrityError

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


def last_line(log):
    """The error that nbgrader logged, as one line without colours and paths."""
    lines = re.findall(r"^[\w.]*(?:Error|Exception)\b.*", re.sub(r"\x1b\[[0-9;]*m", "", log), re.M)
    return f"nbgrader could not grade it: {lines[-1] if lines else 'no reason given'}"[:200]


def summary(assignment, entries, seconds, pool, left, trouble, logs):
    """The page that closes a run."""
    zeros = [entry for entry in entries if entry["notes"] and not entry["score"]]
    noted = [entry for entry in entries if entry["notes"] and entry["score"]]
    by_hand = [entry for entry in entries if entry["waiting"]]
    mean = sum(entry["seconds"] for entry in entries) / max(1, len(entries))
    lines = [
        f"{assignment}, {now()}",
        f"graded               {len(entries):>6}   in {clock(seconds)} with {pool}, {mean:.1f} s each in its process",
        f"recorded zeros       {len(zeros):>6}   with the reason on the student's page",
        f"graded with a note   {len(noted):>6}",
        f"waiting for a person {len(by_hand):>6}   {sum(e['waiting'] for e in by_hand)} answers, in the formgrader",
        f"not graded           {len(left):>6}   give the same command again",
    ]
    if trouble:
        lines += ["", trouble]
    told = [("recorded zeros", zeros), ("notes", noted)]
    for title, some in told:
        lines += ["", f"{title}:"] if some else []
        lines += [f"  {entry['student']}: {' '.join(entry['notes'])}" for entry in some[:LINES]]
        lines += [f"  and {len(some) - LINES} more in journal.jsonl"] if len(some) > LINES else []
    failed = sorted(path for path in logs.glob("*.log"))
    if failed:
        lines += ["", "logs of submissions that were tried more than once:"]
        lines += [f"  {path}" for path in failed[:LINES]]
    tries = Counter(entry["attempt"] for entry in entries)
    if set(tries) - {1}:
        lines += ["", "attempts: " + ", ".join(f"{count} after {number}" for number, count in sorted(tries.items()))]
    return "\n".join(lines) + "\n"


def clock(seconds):
    minutes, seconds = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes} min" if hours else f"{minutes} min {seconds} s"


def grade(assignment, work, jobs=1, patterns=("*",), force=False, dask=None):
    """Grades what is handed in; returns (summary, number of submissions left ungraded). Raises CannotGrade."""
    from autograder import workers

    folder = Path(work) / "grading" / assignment
    with alone(folder):
        pool = workers.DaskPool(dask) if dask else workers.LocalPool(jobs)
        try:
            strangers = pool.strangers(assignment) if dask else []
            if strangers:
                raise CannotGrade(f"another version of the course is on {', '.join(strangers)}: bring it up to date")
            return grade_with(pool, assignment, folder, patterns, force)
        except KeyboardInterrupt:
            raise CannotGrade("stopped by Ctrl-C before anything was graded") from None
        finally:
            pool.close()


def grade_with(pool, assignment, folder, patterns, force):
    """Loads the class and grades it on the processes of `pool`."""
    from nbgrader.converters.base import NbGraderException
    from sqlalchemy.exc import SQLAlchemyError

    from autograder.ledger import Ledger

    try:
        ledger = Ledger(assignment, folder)
    except NbGraderException as error:
        raise CannotGrade(str(error)) from None
    students = ledger.take_in(patterns)
    if not students:
        place = ledger.folder("submitted", "STUDENT")
        raise CannotGrade(f"nothing to grade: no submission fits {' '.join(patterns)} in {place}")
    journal = Journal(folder, {"force": force, "patterns": list(patterns), "course": ledger.fingerprint})
    logs = folder / "logs"
    logs.mkdir(exist_ok=True)
    if not journal.goes_on:
        for path in logs.glob("*.log"):
            path.unlink()
    if force:
        todo = [student for student in students if student not in journal.entries]
    else:
        todo = [student for student in students if not ledger.is_graded(student)]
    print(opening(len(students), len(todo), journal.goes_on, force), flush=True)
    pool.need(len(todo))
    run, start, trouble = Run(ledger, pool, journal, logs), time.monotonic(), ""
    try:
        pace = {"smoothing": 0.05, "mininterval": 0.5 if sys.stderr.isatty() else 30}  # a log file gets few lines
        with tqdm(total=len(students), initial=len(students) - len(todo), unit="submission", **pace) as bar:
            run.grade(todo, bar)
    except KeyboardInterrupt:
        trouble = STOPPED
    except (CannotGrade, OSError, SQLAlchemyError) as error:  # no disk left, no database
        trouble = f"stopped: {error}"
    left = [student for student in todo if student not in run.recorded]
    journal.close(run.own_s, ended=not left)
    text = summary(assignment, list(journal.entries.values()), time.monotonic() - start, pool, left, trouble, logs)
    (folder / "summary.txt").write_text(text, encoding="utf-8")
    ledger.close()
    return text, len(left)


def opening(num_students, num_todo, goes_on, force):
    done = num_students - num_todo
    if goes_on and done:
        return f"going on: {done} of {num_students} submissions are graded"
    if done and not force:
        return f"{done} of {num_students} submissions are graded already (--force grades them again)"
    return f"{num_students} submissions to grade"


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
    work = os.environ.get("COURSE_WORK", str(HERE))
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
