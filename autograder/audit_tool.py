"""Who tests the tests: scores the reference, the starter, the bank of wrong and right answers, and every mutant.

    python -m autograder audit [NN_topic ...] [--exercise f] [-v] [--jobs 2] [--json] [--save] [--outside]

Wanted: the reference and every right_*.py keep all points, the starter has none, every wrong_*.py and every mutant
loses some. Mutants that compute the same thing stand in equivalent.txt with a reason; a line there that no longer
holds is an error too. `--save` keeps the counts in autograder/audit_table.json, which the instructor guide shows.
"""

import ast
import contextlib
import importlib
import json
import os
import shutil
import sys
import tempfile
from dataclasses import asdict, dataclass, field
from pathlib import Path

from autograder.assignment.cells import split_cells, starter_of
from autograder.assignment.script import read_script
from autograder.mutate import mutants
from autograder.scoring import Topic, score_all

ROOT = Path(__file__).resolve().parent.parent
REFERENCE_CPU_S = 2.0  # a test cell ends within two seconds on one core
UNRUN = ("NameError", "SyntaxError", "IndentationError", "ImportError", "ModuleNotFoundError", "NotImplementedError")


@dataclass
class Row:
    """One exercise's line of the table. `faults` are the misses, one text each; empty where all is as wanted."""

    topic: str
    exercise: str
    wrong: int = 0
    wrong_caught: int = 0
    mutants: int = 0
    mutants_killed: int = 0
    right: int = 0
    right_kept: int = 0
    equivalent: int = 0
    points: int = 0
    cpu_s: float = 0.0
    faults: list = field(default_factory=list)
    detail: list = field(default_factory=list)


def read_bank(folder):
    """(wrong, right, equivalent, faults) of an exercise's folder: {name: source} twice, {change: reason}."""
    wrong, right, equivalent, faults = {}, {}, {}, []
    for path in sorted(folder.glob("*.py")):
        source = path.read_text(encoding="utf-8")
        if path.name.startswith("wrong_"):
            wrong[path.stem] = source
        elif path.name.startswith("right_"):
            right[path.stem] = source
        else:
            faults.append(f"{path.name}: a file of the bank is wrong_*.py, right_*.py or equivalent.txt")
        try:
            if not ast.get_docstring(ast.parse(source)):
                faults.append(f"{path.name}: its first line must be a docstring that says what it is")
        except SyntaxError as error:
            faults.append(f"{path.name}: not Python: {error}")
    if not wrong:
        faults.append("no wrong_*.py in the bank")
    if len(right) < 2:
        faults.append(f"{len(right)} right_*.py in the bank, at least 2 are needed")
    listed = folder / "equivalent.txt"
    for number, line in enumerate(listed.read_text(encoding="utf-8").split("\n") if listed.exists() else [], 1):
        if not line.strip() or line.startswith("#"):
            continue
        change, mark, reason = line.rpartition("  # ")
        if " => " not in change or not reason.strip():
            faults.append(f"equivalent.txt:{number}: must be `old text => new text  # reason`")
        else:
            equivalent[change.strip()] = reason.strip()
    return wrong, right, equivalent, faults


def load_topic(name, root):
    """(Topic, {exercise: bank}, stray bank folders) of one assignment; runs its set-up cells."""
    cells = read_script(root / "solutions" / name / f"{name}.py")
    folder = root / "autograder" / "audit" / name
    exercises = [cell.name for cell in cells if cell.kind == "solution"]
    banks = {exercise: read_bank(folder / exercise) for exercise in exercises}
    stray = [path.name for path in sorted(folder.glob("*")) if path.is_dir() and path.name not in exercises]
    sources = [source for wrong, right, _, _ in banks.values() for source in (*wrong.values(), *right.values())]
    return Topic(name, cells, sources), banks, stray


def candidates_of(exercise, source, bank):
    """(key, answers, exercises, cpu_limit_s, stop_early) of everything to score; the reference is scored before."""
    wrong, right, _, _ = bank
    yield ("starter", exercise, ""), {exercise: starter_of(source)}
    for name, text in wrong.items():
        yield ("wrong", exercise, name), {exercise: text}
    for name, text in right.items():
        yield ("right", exercise, name), {exercise: text}
    for mutant in mutants(source):
        yield ("mutant", exercise, mutant.change), {exercise: mutant.source}


@contextlib.contextmanager
def scratch_folder(source):
    """Changes into a temporary folder that holds the data files of the assignment in the folder `source`."""
    here = os.getcwd()
    with tempfile.TemporaryDirectory(prefix="audit-") as scratch:
        ignore = shutil.ignore_patterns("*.py", "*.ipynb", "__pycache__", ".*")
        shutil.copytree(source, scratch, dirs_exist_ok=True, ignore=ignore)
        os.chdir(scratch)
        try:
            yield
        finally:
            os.chdir(here)


def audit_topic(name, root=None, exercises=None, jobs=2, progress=None):
    """The rows of one topic: those of `exercises`, or all."""
    root = root or ROOT
    with scratch_folder(root / "solutions" / name):
        return audit_here(name, root, exercises, jobs, progress)


def audit_here(name, root, exercises, jobs, progress):
    topic, banks, stray = load_topic(name, root)
    rows = {exercise: Row(name, exercise, points=topic.full(exercise)) for exercise in topic.exercises}
    if exercises:
        rows = {exercise: row for exercise, row in rows.items() if exercise in exercises}
    elif stray and rows:
        next(iter(rows.values())).faults.append(f"the bank has no exercise for: {', '.join(stray)}")
    references = [(("reference", exercise, ""), {}, [exercise], 60, False) for exercise in rows]
    for (_, exercise, _), run in score_all(topic, jobs, references):
        row = rows[exercise]
        row.cpu_s = run.cpu_s
        row.faults += [f"the reference fails {test}: {reason}" for test, reason in run.reasons.items() if reason]
        if run.cpu_s > 2 * REFERENCE_CPU_S:
            row.faults.append(f"its two test cells take {run.cpu_s:.1f} s, {REFERENCE_CPU_S:.0f} s each are allowed")
    work, outcomes = [], {exercise: [] for exercise in rows}
    for exercise, row in rows.items():
        row.faults += banks[exercise][3]
        for key, answers in candidates_of(exercise, topic.exercises[exercise]["solution"].source, banks[exercise]):
            kind = key[0]
            limit = {"right": 30, "mutant": 0.3}.get(kind, 3) + 10 * row.cpu_s
            work.append((key, answers, [exercise], limit, kind == "mutant"))
    for done, (key, run) in enumerate(score_all(topic, jobs, work), 1):
        outcomes[key[1]].append((key[0], key[2], run))
        if progress:
            progress(done, len(work))
    for exercise, row in rows.items():
        judge(row, outcomes[exercise], banks[exercise][2])
    return list(rows.values())


def judge(row, outcomes, equivalent):
    """Fills a row from what its candidates got."""
    changes = {label for kind, label, _ in outcomes if kind == "mutant"}
    for kind, label, run in sorted(outcomes, key=lambda outcome: outcome[:2]):
        lost = next((f"{test}: {reason}" for test, reason in run.reasons.items() if reason), "")
        if kind == "starter":
            if run.total:
                row.faults.append(f"the starter gets {run.total} of {row.points} points")
        elif kind == "wrong":
            row.wrong += 1
            row.wrong_caught += run.total < row.points
            row.detail.append(f"{label}: {run.total} of {row.points} points; {lost or 'nothing caught it'}")
            if run.total >= row.points:
                row.faults.append(f"{label}.py gets all points: a test is missing")
            elif lost.split(": ")[1] in UNRUN:
                row.faults.append(f"{label}.py does not run ({lost}): it must show the misconception")
        elif kind == "right":
            row.right += 1
            row.right_kept += run.total == row.points
            if run.total < row.points:
                row.faults.append(f"{label}.py is right but loses points: {lost}")
        elif label in equivalent:
            row.equivalent += 1
            if run.total < row.points:
                row.faults.append(f"equivalent.txt is stale: `{label}` is killed by {lost}")
        else:
            row.mutants += 1
            row.mutants_killed += run.total < row.points
            if run.total >= row.points:
                row.faults.append(f"mutant survives: {label}")
    for change in equivalent:
        if change not in changes:
            row.faults.append(f"equivalent.txt is stale: no mutant `{change}`")


def table(rows):
    """The table as text, one line per exercise and a last one with the sums."""
    width = max([len(f"{row.topic}/{row.exercise}") for row in rows] + [8])
    lines = [f"{'exercise':{width}}  wrong caught  mutants killed  right kept  equivalent  CPU s  "]
    for row in rows:
        lines.append(
            f"{row.topic + '/' + row.exercise:{width}}  {f'{row.wrong_caught}/{row.wrong}':>12}"
            f"  {f'{row.mutants_killed}/{row.mutants}':>14}  {f'{row.right_kept}/{row.right}':>10}"
            f"  {row.equivalent:>10}  {row.cpu_s:5.2f}  {'' if not row.faults else f'{len(row.faults)} missed'}"
        )
    total = {key: sum(getattr(row, key) for row in rows) for key in Row.__annotations__ if key not in NOT_SUMMED}
    lines.append(
        f"{'all':{width}}  {'{wrong_caught}/{wrong}'.format(**total):>12}"
        f"  {'{mutants_killed}/{mutants}'.format(**total):>14}  {'{right_kept}/{right}'.format(**total):>10}"
        f"  {total['equivalent']:>10}  {total['cpu_s']:5.2f}  "
    )
    return "\n".join(line.rstrip() for line in lines)


NOT_SUMMED = ("topic", "exercise", "faults", "detail")
COUNTS = ("wrong_caught", "wrong", "mutants_killed", "mutants", "right_kept", "right", "equivalent")


def save(rows, root=None):
    """Puts the rows' counts into autograder/audit_table.json, one line each; exercises that are gone drop out."""
    root = root or ROOT
    place = root / "autograder" / "audit_table.json"
    saved = json.loads(place.read_text(encoding="utf-8")) if place.exists() else []
    kept = {(line["topic"], line["exercise"]): line for line in saved}
    for row in rows:
        kept[row.topic, row.exercise] = {key: getattr(row, key) for key in ("topic", "exercise", *COUNTS)}
    lines = [json.dumps(kept[key]) for key in exercises_of(root) if key in kept]
    place.write_text("[\n" + ",\n".join(lines) + "\n]\n", encoding="utf-8")


def exercises_of(root):
    """(topic, exercise) of every exercise of the course, in order."""
    for path in sorted((root / "solutions").glob("*/*.py")):
        if path.stem == path.parent.name:
            for cell in split_cells(path.read_text(encoding="utf-8"))[0]:
                if cell.kind == "solution":
                    yield path.stem, cell.name


def add_arguments(parser):
    parser.add_argument("topics", nargs="*", metavar="NN_topic", help="all by default")
    parser.add_argument("--exercise", action="append", metavar="f", help="only this exercise (may be given again)")
    parser.add_argument("-v", "--verbose", action="store_true", help="also say what each wrong answer loses and why")
    parser.add_argument("--jobs", type=int, default=2, metavar="N", help="children at a time")
    parser.add_argument("--json", action="store_true", help="print the rows as JSON instead of a table")
    parser.add_argument("--save", action="store_true", help="keep the counts in autograder/audit_table.json")
    parser.add_argument("--outside", action="store_true", help="compare with the tests outside of the answer's process")
    parser.add_argument("--share", type=int, default=1, metavar="N", help="with --outside: one in N wrong answers")
    parser.add_argument("--mutants", type=int, default=0, metavar="N", help="with --outside: N mutants an exercise too")
    parser.add_argument("--end-to-end", type=int, metavar="N", help="grade N drawn submissions by nbgrader and compare")


def run(options):
    """Exit code: 0 when everything is as wanted, 1 otherwise."""
    topics = options.topics or sorted(path.stem for path in (ROOT / "solutions").glob("*/*.py"))
    unknown = [name for name in topics if not (ROOT / "solutions" / name / f"{name}.py").exists()]
    if unknown:
        print(f"no assignment {', '.join(unknown)} in solutions/", file=sys.stderr)
        return 1
    if options.end_to_end:
        return importlib.import_module("autograder.end_to_end").run(topics, options.end_to_end)
    if options.outside:
        sizes = {"share": options.share, "mutants": options.mutants}
        tool = importlib.import_module("autograder.outside.compare")
        return tool.run(topics, options.exercise, options.jobs, progress_of, **sizes)
    rows = []
    for name in topics:
        rows += audit_topic(name, exercises=options.exercise, jobs=options.jobs, progress=progress_of(name))
    if options.exercise and not rows:
        print(f"no exercise {', '.join(options.exercise)} in {', '.join(topics)}", file=sys.stderr)
        return 1
    if options.save:
        save(rows)
    if options.json:
        print(json.dumps([asdict(row) for row in rows], indent=1))
    else:
        print(table(rows))
        for row in rows:
            lines = row.faults + (row.detail if options.verbose else [])
            if lines:
                print(f"\n{row.topic}/{row.exercise}")
                print("\n".join(f"  {line}" for line in lines))
    return int(any(row.faults for row in rows))


def progress_of(name):
    """A counter on stderr, where that is a terminal."""
    if not sys.stderr.isatty():
        return None

    def show(done, total):
        end = "\r" if done < total else "\r\033[K"
        print(f"{name}: {done}/{total} answers scored", end=end, file=sys.stderr, flush=True)

    return show
