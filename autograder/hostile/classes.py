"""Grades cases of the hostile bank as one class, through real `nbgrader autograde`, and judges what came of each."""

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

CELL_SECONDS = 6  # an honest cell takes milliseconds; who was too slow gets a second look, see command.py
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
    """(outcomes, findings) of one class: cases of one topic, and what grading left or let through."""
    topic = cases[0].topic
    worth = worth_of(bank.release(topic))
    with Canaries() as canaries:
        hand_in(cases, canaries, topic)
        settings = CONFIG.format(config=str(course.ROOT / "autograder" / "nbgrader_config.py"))
        (canaries.work / "nbgrader_config.py").write_text(settings + (STOCK if stock else ""))
        log, started = autograde(canaries, topic, stock, cell_seconds)
        points = read_points(canaries.database, topic)
        outcomes = []
        for case in cases:
            outcome = Outcome(case, case.wanted(worth), points.get(case.student))
            path = canaries.work / "autograded" / case.student / topic / f"{topic}.ipynb"
            outcome.text, raw = read_notes(path)
            outcome.text += "\n".join(line for line in log.split("\n") if f"/{case.student}/" in line)
            outcome.seconds = path.stat().st_mtime - started.get(case.student, path.stat().st_mtime) if raw else 0.0
            outcome.misses = judge(outcome, raw, canaries.secret)
            outcomes.append(outcome)
        show_feedback([outcome for outcome in outcomes if outcome.case.options["unseen"]], canaries, topic)
        time.sleep(1)  # what was told to end gets the time for it
        findings = canaries.findings()
    for outcome in outcomes:
        outcome.misses += [text for text in findings if outcome.case.student in text]
    named = [text for text in findings if any(case.student in text for case in cases)]
    return outcomes, [text for text in findings if text not in named]


def hand_in(cases, canaries, topic):
    """Writes the submissions of a class."""
    release, reference = bank.release(topic), course.reference_answers(topic)
    for case in cases:
        folder = canaries.work / "submitted" / case.student / topic
        bank.make_submission(case, folder, canaries.facts(case.student), release, reference)
        if not folder.is_symlink():
            (folder / f"{canaries.mark}-{case.student}.txt").write_text("")  # tells a copy that a jail left behind


def autograde(canaries, topic, stock, cell_seconds):
    """Runs `nbgrader autograde` until every student was tried; (log, {student: when its turn came}).

    A submission that stops the command has had its turn; the command is run again for those after it. The limits
    stand on the command line: nbgrader reads the course's configuration after that of the folder it is started in.
    """
    environment = canaries.environment | ({"COURSE_JAIL": "trusted"} if stock else {})
    command = [*course.NBGRADER, "autograde", topic, "--JailProvisioner.patience_s=3"]
    command += [f"--Execute.timeout={cell_seconds}", f"--Execute.iopub_timeout={cell_seconds}"]
    command += [f"--JailProvisioner.wall_s={12 * cell_seconds}"]
    log, started, tried = [], {}, -1
    students = {path.parent.name for path in canaries.work.glob(f"submitted/*/{topic}")}
    while len(started) > tried and not students <= started.keys():
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
            graded = canaries.work / "autograded" / student / topic
            if not graded.exists():
                folder = canaries.work / "submitted" / student
                if folder.exists():
                    folder.rename(canaries.work / f"stopped-{student}")
    return "\n".join(log), started


def show_feedback(outcomes, canaries, topic):
    """Generates the feedback of these and notes what a page shows that it must not."""
    if not outcomes:
        return
    command = [*course.NBGRADER, "generate_feedback", topic]
    subprocess.run(command, cwd=canaries.work, env=canaries.environment, capture_output=True, check=False)
    for outcome in outcomes:
        folder = canaries.work / "feedback" / outcome.case.student
        pages = [path.read_text(encoding="utf-8", errors="replace") for path in folder.glob("**/*.html")]
        outcome.misses += [] if pages else ["it has no feedback"]
        shown = [found[0] for found in re.finditer(outcome.case.options["unseen"], "\n".join(pages))]
        outcome.misses += [f"its feedback shows {shown[0]!r}"] if shown else []


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


def read_points(database, topic):
    """{student: {exercise: points}} as the gradebook has them; a grade that waits for a person counts nothing."""
    found = {}
    with Gradebook(database) as gradebook:
        for entry in gradebook.assignment_submissions(topic):
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
