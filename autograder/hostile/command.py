"""Puts every case of the hostile bank through real `nbgrader autograde` and compares score and note with the wanted.

    python -m autograder hostile [--case 'lost/*'] [--jobs 2] [--stock]

The cases are dealt to as many classes as jobs, each with its own folder, gradebook and canaries.
"""

import json
import os
import re
import signal
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

import nbformat
from nbgrader.api import Gradebook

from autograder.grading import course
from autograder.hostile import bank
from autograder.hostile.canaries import Canaries
from autograder.intake.graft import NOTES_HEADING
from autograder.results.wording import ANSI

CELL_SECONDS = 12  # the set-up imports torch: 2 s on a quiet machine
PATIENT = 3  # times as long in the second look at a case that only lacks points or a note: was the machine busy?
CASE_SECONDS = 60  # the whole of one submission, on a busy machine
CONFIG = "load_subconfig({config!r})\n"
# What grading was before there was a jail and before the tests left the student's process.
STOCK = """
import autograder.grading.execute
from nbgrader.preprocessors import Execute

autograder.grading.execute.CourseExecute = Execute
"""


@dataclass
class Outcome:
    """What became of a case: points per exercise (None: not graded), all that can be read, what is not as wanted."""

    case: bank.Case
    wanted: dict
    points: dict | None = None
    text: str = ""
    seconds: float = 0.0
    misses: list = field(default_factory=list)

    @property
    def got_too_little(self):
        """Whether all that is not as wanted is missing points or a missing note."""
        if not self.misses or self.points is None:
            return False
        no_gain = all(self.points.get(name, 0) <= points for name, points in self.wanted.items())
        return no_gain and all(re.match(r"no note|\w+ got ", miss) for miss in self.misses)

    @property
    def note(self):
        """The line that the wanted note was found in, else the first that tells of an error."""
        found = self.case.options["note"] and re.search(self.case.options["note"], self.text)
        if not found:
            return self.text.strip().split("\n")[0]
        return self.text[self.text.rfind("\n", 0, found.start()) + 1 :].split("\n")[0].strip()


def worth_of(release):
    """{exercise: points that machines give} of the released notebook."""
    worth = {}
    for cell in release.cells:
        marks = cell.metadata.get("nbgrader", {})
        if marks.get("grade") and not marks["solution"]:
            name = course.exercise_of(marks["grade_id"])
            worth[name] = worth.get(name, 0) + marks["points"]
    return worth


def grade_class(cases, stock=False, cell_seconds=CELL_SECONDS):
    """(outcomes, findings) of one class: the cases in their order, and what grading left or let through."""
    release, reference = bank.release(), course.reference_answers(bank.TOPIC)
    worth = worth_of(release)
    with Canaries() as canaries:
        for case in cases:
            folder = canaries.work / "submitted" / case.student / bank.TOPIC
            bank.make_submission(case, folder, canaries.facts(case.student), release, reference)
            if not folder.is_symlink():
                (folder / f"{canaries.mark}-{case.student}.txt").write_text("")  # tells a copy that a jail left behind
        settings = CONFIG.format(
            config=str(course.ROOT / "autograder" / "nbgrader_config.py"), cell_seconds=CELL_SECONDS
        )
        (canaries.work / "nbgrader_config.py").write_text(settings + (STOCK if stock else ""))
        log, started = autograde(canaries, stock, cell_seconds)
        points = read_points(canaries.database)
        outcomes = []
        for case in cases:
            outcome = Outcome(case, case.wanted(worth), points.get(case.student))
            path = canaries.work / "autograded" / case.student / bank.TOPIC / f"{bank.TOPIC}.ipynb"
            outcome.text, raw = read_notes(path)
            outcome.text += "\n".join(line for line in log.split("\n") if f"/{case.student}/" in line)
            outcome.seconds = path.stat().st_mtime - started.get(case.student, path.stat().st_mtime) if raw else 0.0
            outcome.misses = judge(outcome, raw, canaries.secret)
            outcomes.append(outcome)
        time.sleep(1)  # what was told to end gets the time for it
        findings = canaries.findings()
    for outcome in outcomes:
        outcome.misses += [text for text in findings if outcome.case.student in text]
    named = [text for text in findings if any(case.student in text for case in cases)]
    return outcomes, [text for text in findings if text not in named]


def autograde(canaries, stock, cell_seconds):
    """Runs `nbgrader autograde` until every student was tried; (log, {student: when its turn came}).

    A submission that stops the command has had its turn; the command is run again for those after it. The limits
    stand on the command line: nbgrader reads the course's configuration after that of the folder it is started in.
    """
    environment = canaries.environment | ({"COURSE_JAIL": "trusted"} if stock else {})
    command = [sys.executable, "-m", "nbgrader", "autograde", bank.TOPIC, "--JailProvisioner.patience_s=3"]
    command += [f"--Execute.timeout={cell_seconds}", f"--Execute.iopub_timeout={cell_seconds}"]
    command += [f"--JailProvisioner.wall_s={6 * cell_seconds}"]
    log, started, tried = [], {}, -1
    while len(started) > tried:
        tried = len(started)
        process = subprocess.Popen(
            command, cwd=canaries.work, env=environment, stderr=subprocess.PIPE, text=True, errors="replace",
            stdout=subprocess.DEVNULL, start_new_session=True,
        )  # fmt: skip
        with ThreadPoolExecutor(1) as reader:
            reading = reader.submit(read_log, process.stderr, log, started)
            watch(process, log, CASE_SECONDS + 10 * cell_seconds)
            reading.result()
        if process.returncode == 0:
            break
        log.append(f"nbgrader autograde ends with {process.returncode}: {log[-1] if log else 'it says nothing'}")
        print(log[-1], file=sys.stderr, flush=True)
        for student in started:  # a second turn would stop the class again
            graded = canaries.work / "autograded" / student / bank.TOPIC
            if not graded.exists():
                folder = canaries.work / "submitted" / student
                if folder.exists():
                    folder.rename(canaries.work / f"stopped-{student}")
    return "\n".join(log), started


def watch(process, log, patience_s):
    """Waits for a process to end; one whose log has not grown for so long is ended."""
    seen, moved_at = 0, time.monotonic()
    while process.poll() is None:
        time.sleep(0.2)
        if len(log) > seen:
            seen, moved_at = len(log), time.monotonic()
        elif time.monotonic() - moved_at > patience_s:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()


def read_log(stream, log, started):
    for line in stream:
        line = line.rstrip("\n")
        log.append(line[:2000])
        turn = re.search(r"Converting notebook .*/submitted/([^/]+)/", line)
        if turn:
            started.setdefault(turn[1], time.time())


def read_points(database):
    """{student: {exercise: points}} as the gradebook has them; a grade that waits for a person counts nothing."""
    found = {}
    with Gradebook(database) as gradebook:
        for entry in gradebook.assignment_submissions(bank.TOPIC):
            points = found.setdefault(entry.student.id, {})
            for grade in (grade for notebook in entry.notebooks for grade in notebook.grades):
                if grade.name.startswith(("test_", "hidden_")):
                    name = course.exercise_of(grade.name)
                    points[name] = points.get(name, 0) + (grade.score or 0)
    return found


def read_notes(path):
    """(text, raw): notes, errors and outputs of a graded notebook, a line each; ("", "") where there is none."""
    if not path.exists():
        return "", ""
    raw = path.read_text(encoding="utf-8", errors="replace")
    lines = []
    for cell in nbformat.reads(raw, as_version=4).cells:
        if cell.source.startswith(NOTES_HEADING):
            lines.append(cell.source)
        name = cell.metadata.get("nbgrader", {}).get("grade_id", "cell")
        for output in cell.get("outputs", []):
            if output.output_type == "error":
                lines.append(f"{name}: {output.ename}: {output.evalue}")
            else:
                text = output.get("text") or output.get("data", {}).get("text/plain", "")
                lines.append(f"{name} prints: {text[:2000]}")
    return ANSI.sub("", "\n".join(lines)) + "\n", raw


def judge(outcome, raw, secret):
    """What is not as the case wants it, as sentences."""
    if outcome.points is None:
        return ["it was not graded"]
    misses = []
    for name, wanted in outcome.wanted.items():
        got = outcome.points.get(name, 0)
        if got != wanted:
            misses.append(f"{name} got {got:g}, wanted {wanted:g}")
    if not re.search(outcome.case.options["note"], outcome.text):
        misses.append(f"no note like {outcome.case.options['note']!r}")
    if secret in raw:
        misses.append("it read a secret of the host")
    misses += [f"it reached out: {line.strip()}" for line in re.findall("REACHED.*", outcome.text)]
    misses += ["it ran without a jail"] if bank.UNLIT in outcome.text else []
    return misses


def grade_bank(cases, jobs=2, stock=False):
    """(outcomes, findings) of all cases, dealt to `jobs` classes that are graded side by side.

    A case that got too little, and nothing that it should not, is graded once more with more time.
    """
    outcomes, findings = grade_classes(cases, jobs, stock, CELL_SECONDS)
    slow = [outcome.case for outcome in outcomes if outcome.got_too_little]
    if slow and not stock:
        names = ", ".join(case.name for case in slow)
        print(f"These lack points or a note, once more with more time: {names}", file=sys.stderr, flush=True)
        again, found = grade_classes(slow, jobs, stock, PATIENT * CELL_SECONDS)
        second = {outcome.case.name: outcome for outcome in again}
        outcomes, findings = [second.get(outcome.case.name, outcome) for outcome in outcomes], findings + found
    return outcomes, findings


def grade_classes(cases, jobs, stock, cell_seconds):
    classes = [cases[start::jobs] for start in range(jobs) if cases[start::jobs]]
    with ThreadPoolExecutor(len(classes)) as pool:
        results = list(pool.map(lambda part: grade_class(part, stock, cell_seconds), classes))
    outcomes = [outcome for part, _ in results for outcome in part]
    order = {case.name: number for number, case in enumerate(cases)}
    return sorted(outcomes, key=lambda o: order[o.case.name]), [text for _, found in results for text in found]


def table(outcomes):
    """The printed table: a line a case, those not as wanted with their reasons below them."""
    lines = [f"{'case':<38} {'wanted':>6} {'got':>5} {'s':>6}  note"]
    for outcome in outcomes:
        got = "none" if outcome.points is None else f"{sum(outcome.points.values()):g}"
        name = f"{outcome.case.family}/{outcome.case.name}"
        wanted = sum(outcome.wanted.values())
        lines.append(f"{name:<38} {wanted:>6g} {got:>5} {outcome.seconds:>6.1f}  {outcome.note[:90]}")
        lines += [f"    NOT AS WANTED: {miss[:200]}" for miss in outcome.misses]
    return "\n".join(lines)


def figures(outcomes):
    """{family: (as wanted, all)} and the same under "all"."""
    counts = {}
    for outcome in outcomes:
        for key in (outcome.case.family, "all"):
            good, number = counts.get(key, (0, 0))
            counts[key] = (good + (not outcome.misses), number + 1)
    return counts


def add_arguments(parser):
    parser.add_argument("--case", default="*", metavar="GLOB", help="name or family/name, such as 'lost/*'")
    parser.add_argument("--jobs", type=int, default=min(2, os.cpu_count() or 1), help="classes graded side by side")
    parser.add_argument("--stock", action="store_true", help="without jail and with the tests in the student's process")
    parser.add_argument("--json", metavar="FILE", help="save the outcomes as well")


def run(options):
    """Prints the table and the figures. Exit code 1 where a case is not as wanted or something was left behind."""
    cases = bank.read_bank(options.case)
    if not cases:
        print(f"no case matches {options.case}", file=sys.stderr)
        return 1
    begun = time.monotonic()
    outcomes, findings = grade_bank(cases, options.jobs, options.stock)
    print(table(outcomes))
    for text in findings:
        print(f"NOT AS WANTED, of the whole class: {text}")
    print()
    counts = figures(outcomes)
    for family, title in (*bank.FAMILIES.items(), ("all", "all")):
        if family in counts:
            print(f"{title:<20} {counts[family][0]:>3} of {counts[family][1]:>3} as wanted")
    print(f"{time.monotonic() - begun:.0f} s with {options.jobs} classes side by side")
    if options.json:
        with open(options.json, "w", encoding="utf-8") as file:
            rows = [
                {"case": f"{o.case.family}/{o.case.name}", "points": o.points, "seconds": o.seconds, "misses": o.misses}
                for o in outcomes
            ]
            json.dump({"outcomes": rows, "findings": findings}, file, indent=1)
    return int(bool(findings) or any(outcome.misses for outcome in outcomes))
