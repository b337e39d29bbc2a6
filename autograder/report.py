"""What the class misunderstood: one HTML page and CSV files from the gradebook and the autograded notebooks.

    python -m autograder report NN_topic [--public] [--work FOLDER] [--out FOLDER]

Reads the class that the nbgrader commands graded (COURSE_WORK or autograder/). Nothing of a submission is executed;
the named wrong answers of the audit bank, which are the course's own, are scored anew for their messages.
"""

import os
import re
import statistics
import sys
from collections import Counter, defaultdict
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path

import jinja2
import nbformat
from nbgrader.api import Gradebook, MissingEntry

from autograder import course
from autograder.auditor.candidates import load_topic, scratch_folder
from autograder.auditor.children import score_all
from autograder.feedback import MAX_MESSAGE_CHARS, message_of, read_lead_in
from autograder.intake import NOTES_HEADING
from autograder.script import read_script
from autograder.similarity import near_identical

HERE = Path(__file__).resolve().parent
BANK_SECONDS = 10
MIN_STUDENTS = 3  # below this a correlation says nothing
HIDDEN = "fails hidden checks only"


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
class Item:
    """One exercise over the class. difficulty: mean share of its points, 0 to 1, among those who wrote anything.

    discrimination: correlation of its points with the points of all other exercises; None where it says nothing.
    """

    name: str
    title: str
    points: float
    difficulty: float | None = None
    discrimination: float | None = None
    full: int = 0
    part: int = 0
    none: int = 0
    blank: int = 0


@dataclass
class Group:
    """Answers to one exercise that fail alike. named: {wrong answer of the bank with these messages: what it says}."""

    visible: str
    hidden: str
    students: list = field(default_factory=list)
    named: dict = field(default_factory=dict)


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
    if not path.exists():
        return {}
    cells = nbformat.read(path, as_version=4).cells
    return {cell.metadata.nbgrader.grade_id: cell for cell in cells if "nbgrader" in cell.metadata}


def notes_of(path):
    """What the intake wrote at the top of a graded notebook."""
    first = nbformat.read(path, as_version=4).cells[:1] if path.exists() else []
    return [note for cell in first if cell.source.startswith(NOTES_HEADING) for note in cell.source.split("\n- ")[1:]]


def add_student(result, student, scores, release, work):
    assignment = result.assignment
    path = Path(work, "autograded", student, assignment, f"{assignment}.ipynb")
    cells = read_cells(path)
    result.notes[student] = notes_of(path)

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
            messages=tuple(message_of(cells[test]) if test in cells else "" for test in tests),
        )
    result.written[student] = {name: text(name) for name in result.to_grade}
    for name, score in scores.items():
        if score is None:
            result.to_grade.setdefault(name, []).append(student)


def items(result):
    """The Item of every exercise, in order."""
    active = result.active
    found = []
    for name, points in result.worth.items():
        item = Item(name, result.titles.get(name, name), points)
        mine = [result.answers[student][name].points for student in active]
        rest = [result.total(student) - own for student, own in zip(active, mine, strict=True)]
        if active and points:
            item.difficulty = statistics.fmean(mine) / points
        if len(active) >= MIN_STUDENTS and len(set(mine)) > 1 and len(set(rest)) > 1:
            item.discrimination = statistics.correlation(mine, rest)
        for student in active:
            answer = result.answers[student][name]
            kind = "full" if answer.points >= points else "part" if answer.points else "none"
            kind = "blank" if answer.blank else kind
            setattr(item, kind, getattr(item, kind) + 1)
        found.append(item)
    return found


def told(reason):
    """A reason of autograder/scoring.py in the words that `message_of` finds in a graded notebook."""
    kind, _, text = reason.partition(": ")
    text = text.strip().split("\n\n")[0] or "the check failed"
    return f"{'' if kind == 'AssertionError' else kind + ': '}{text}"[:MAX_MESSAGE_CHARS] if reason else ""


def without_numbers(messages):
    return tuple(re.sub(r"\d[\d_]*(\.\d+)?(e[+-]?\d+)?", "#", message) for message in messages)


def bank_messages(assignment, root=course.ROOT):
    """{exercise: {wrong answer: (messages, what it says)}} of the audit bank, scored now."""
    found = defaultdict(dict)
    with scratch_folder(root / "solutions" / assignment):
        topic, banks, _ = load_topic(assignment, root)
        work = [
            ((exercise, name), {exercise: answer.source}, [exercise], BANK_SECONDS, False)
            for exercise, bank in banks.items()
            for name, answer in bank.wrong.items()
        ]
        for (exercise, name), run in score_all(topic, 2, work):
            messages = tuple(told(run.reasons.get(f"{kind}_{exercise}", "")) for kind in ("test", "hidden"))
            found[exercise][name] = (messages, banks[exercise].wrong[name].says.rstrip(". "))
    return found


def misconceptions(result, bank):
    """{exercise: [Group]}, the most frequent first: answers that lost points, together where they fail alike.

    A wrong answer of the bank is named where both checks said the same of it; else where only the numbers differ.
    """
    found = {}
    for name in result.worth:
        groups = {}
        for student in result.active:
            answer = result.answers[student][name]
            if not answer.blank and any(answer.messages):
                group = groups.setdefault(without_numbers(answer.messages), Group(*answer.messages))
                group.students.append(student)
        for key, group in groups.items():
            known = bank.get(name, {})
            exact = {wrong: says for wrong, (text, says) in known.items() if text == (group.visible, group.hidden)}
            alike = {wrong: says for wrong, (text, says) in known.items() if without_numbers(text) == key}
            group.named = exact or alike
        found[name] = sorted(groups.values(), key=lambda group: -len(group.students))
    return found


def without_students(groups, names):
    """The groups as they may be shown to anyone: counts, no hidden check, no text that only one student's code made."""
    pattern = re.compile(
        "|".join(rf"\b{re.escape(name)}\b" for name in sorted(names, key=len, reverse=True)) or r"(?!)"
    )
    shown, alone = [], 0
    for group in groups:
        if len(group.students) == 1 and not group.named:
            alone += 1
            continue
        visible = group.visible if re.match(r"(?!\w+(Error|Exception|Exit): )", group.visible) else "an error is raised"
        visible = pattern.sub("[name]", visible) if group.visible else HIDDEN
        shown.append(Group(visible, "", [""] * len(group.students), group.named))
    if alone:
        shown.append(Group("failed in a way that no one else's did", "", [""] * alone))
    return shown


def figures(result, exercises):
    """[(data URI, text)]: how the totals spread, and what became of every exercise."""
    import matplotlib.pyplot as plt
    import seaborn

    from mini_engine.plotting import COLORS, figure, to_data_uri

    totals, most = [result.total(student) for student in result.active], sum(result.worth.values())
    spread, ax = figure(size=(6.4, 2.8))
    seaborn.histplot(x=totals, ax=ax, binwidth=max(1, most / 20), binrange=(0, most + 1), color=COLORS[0])
    ax.set(xlabel=f"points by machine, of {most:g}", ylabel="students", title="Scores")
    ax.yaxis.get_major_locator().set_params(integer=True)
    outcome, ax = figure(size=(6.4, 1.2 + 0.36 * len(exercises)))
    left = [0] * len(exercises)
    shades = seaborn.color_palette("cividis", 4)
    for kind, label, color in zip(
        ("full", "part", "none", "blank"), ("all points", "some", "none", "not written"), shades[::-1], strict=True
    ):
        width = [getattr(item, kind) for item in exercises]
        ax.barh([item.name for item in exercises], width, left=left, label=label, color=color, edgecolor="white")
        left = [a + b for a, b in zip(left, width, strict=True)]
    ax.invert_yaxis()
    ax.grid(axis="y", visible=False)
    ax.xaxis.get_major_locator().set_params(integer=True)
    ax.set(xlabel="students", title="What became of each exercise")
    ax.legend(ncols=4, loc="upper center", bbox_to_anchor=(0.4, -0.9 / (0.5 + 0.3 * len(exercises))), fontsize=9)
    made = [
        (to_data_uri(spread), f"Histogram of the points of {len(totals)} students, of {most:g}."),
        (
            to_data_uri(outcome),
            "Bars: students with all, some or no points in each exercise; the table has the numbers.",
        ),
    ]
    plt.close("all")
    return made


def write_report(work, assignment, out, public=False, root=course.ROOT):
    """Writes the page and the CSV files into the folder `out`; returns their paths. Raises NothingToReport."""
    result = read_class(work, assignment, root)
    groups = misconceptions(result, bank_messages(assignment, root))
    exercises, active = items(result), result.active
    alike = near_identical(
        {student: [answer.source for answer in result.answers[student].values()] for student in active},
        [read_cells(root / "notebooks" / assignment / f"{assignment}.ipynb")[name].source for name in result.worth],
    )
    if public:
        groups = {name: without_students(found, result.names) for name, found in groups.items()}
    header, rows = course.class_table(work, assignment)
    totals = [result.total(student) for student in active]
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(HERE / "templates"), autoescape=True, trim_blocks=True, lstrip_blocks=True
    )
    page = environment.get_template("report.html.j2").render(
        result=result,
        public=public,
        today=date.today().isoformat(),
        active=active,
        empty=[student for student in result.answers if student not in active],
        most=sum(result.worth.values()),
        mean=statistics.fmean(totals) if totals else None,
        median=statistics.median(totals) if totals else None,
        waiting=sum(map(len, result.to_grade.values())),
        figures=figures(result, exercises),
        items=exercises,
        groups=groups,
        alike=alike,
        late=sorted(name for name, hours in result.hours.items() if hours < 0),
        margin=statistics.median(result.hours.values()) if result.hours else None,
        odd={student: notes for student, notes in result.notes.items() if notes},
        header=header,
        rows=rows,
    )
    out = Path(out)
    out.mkdir(parents=True, exist_ok=True)
    stem = f"{assignment}_public" if public else assignment
    written = {out / f"{stem}.html": page, out / f"{stem}.csv": items_csv(exercises, groups)}
    if not public:
        written[out / f"{stem}_scores.csv"] = course.as_csv(header, rows)
    for path, text in written.items():
        path.write_text(text, encoding="utf-8")
    return list(written)


def items_csv(exercises, groups):
    header = ["exercise", "points", "difficulty", "discrimination", "all points", "some", "none", "not written"]
    rows = []
    for item in exercises:
        counts = Counter({name: len(group.students) for group in groups[item.name] for name in group.named})
        numbers = ["" if value is None else f"{value:.3f}" for value in (item.difficulty, item.discrimination)]
        named = "; ".join(f"{name} ({count})" for name, count in counts.most_common(3))
        rows.append([item.name, item.points, *numbers, item.full, item.part, item.none, item.blank, named])
    return course.as_csv([*header, "most frequent named mistakes"], rows)


def add_arguments(parser):
    default = Path(os.environ.get("COURSE_WORK", HERE))
    parser.add_argument("assignment", metavar="NN_topic")
    parser.add_argument("--public", action="store_true", help="leave out whatever points to a student")
    parser.add_argument("--work", type=Path, default=default, help="where the class was graded")
    parser.add_argument("--out", type=Path, help="where to write; default: the folder report of --work")


def run(options):
    """Exit code: 0, or 1 where there is nothing to report on."""
    try:
        written = write_report(options.work, options.assignment, options.out or options.work / "report", options.public)
    except NothingToReport as error:
        print(error, file=sys.stderr)
        return 1
    print("\n".join(map(str, written)))
    return 0
