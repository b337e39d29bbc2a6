"""What a submission costs to grade here: serial and on several processes, with and without the jail.

    python -m autograder costs [NN_topic] [--students 16] [--rounds 2] [--save]
    python -m autograder costs [NN_topic] (--stock | --whole-class | --loop) [--students N] [--save]

Every way grades the same made-up class in turn, so that a busy machine slows all of them alike. The instructor guide
shows the saved figures, autograder/grading/costs.json, and plans 10,000 submissions with them.
"""

import contextlib
import json
import os
import platform
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from datetime import date
from pathlib import Path

from autograder.assignment.script import read_script
from autograder.grading import course, demo
from autograder.grading.tables import cost_table, plan_table
from autograder.hostile import classes
from autograder.sandbox import modes

SAVED = Path(__file__).with_name("costs.json")
HONEST = ("ada", "ben", "chi", "dan", "eve", "gus")  # who of the demonstration class breaks nothing


def make_class(assignment, work, num_students):
    made, _ = demo.make_class(assignment)
    for number in range(num_students):
        name = HONEST[number % len(HONEST)]
        course.hand_in(work, f"{name}{number:03d}", assignment, made[name])


def measure(assignment, work, jobs, jail):
    """One grading of the class in `work`: wall and processor seconds, and the load before. jobs 0: nbgrader alone.

    jail "stock": nbgrader without a jail, every cell and test in the student's process, as it comes. The processor
    seconds lack those of a jail's processes, which end with their jail and are nobody's children.
    """
    is_stock = jail == "stock"
    environment = os.environ | {"COURSE_WORK": str(work), "PYTHONPATH": str(course.ROOT)}
    environment |= {"COURSE_JAIL": "trusted" if is_stock else jail}
    environment.setdefault("OMP_NUM_THREADS", "1")
    environment.pop("NBGRADER_DB_URL", None)
    if jobs:
        command = [sys.executable, "-m", "autograder", "grade", assignment, "--jobs", str(jobs)]
    else:
        command = [sys.executable, "-m", "nbgrader", "autograde", assignment]
    if is_stock:
        settings = classes.CONFIG.format(config=str(course.ROOT / "autograder" / "nbgrader_config.py")) + classes.STOCK
        Path(work, "nbgrader_config.py").write_text(settings, encoding="utf-8")
    load, before, start = os.getloadavg()[0], resource.getrusage(resource.RUSAGE_CHILDREN), time.monotonic()
    done = subprocess.run(
        command, cwd=work if is_stock else course.ROOT, env=environment, capture_output=True, text=True
    )
    wall, after = time.monotonic() - start, resource.getrusage(resource.RUSAGE_CHILDREN)
    if done.returncode:
        raise course.CommandFailed(f"{' '.join(command)}\n{done.stdout[-1000:]}{done.stderr[-3000:]}")
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return {"jobs": jobs, "jail": jail, "wall_s": round(wall, 2), "cpu_s": round(cpu, 2), "load": round(load, 1)}


def size_of(folder):
    return sum(path.stat().st_size for path in Path(folder).rglob("*") if path.is_file())


def measure_all(assignment, num_students, rounds, jobs):
    """Yields the contents of costs.json after each round."""
    ways = [(number, jail) for jail in (modes.require(), "trusted") for number in (0, jobs)]
    runs, own_s, sizes = [], [], {}
    for _ in range(rounds):
        for number, jail in ways:
            with class_of(assignment, num_students) as work:
                before = Path(work, "gradebook.db").stat().st_size
                runs.append(measure(assignment, work, number, jail))
                print(runs[-1], flush=True)
                if number:
                    lines = Path(work, "runs", assignment, "journal.jsonl").read_text().splitlines()
                    own_s.append(json.loads(lines[-1])["own_s"] / num_students)
                grown = Path(work, "gradebook.db").stat().st_size - before
                sizes = {"gradebook_bytes": grown, "graded_bytes": size_of(Path(work, "autograded"))}
        yield {
            "assignment": assignment,
            "date": date.today().isoformat(),
            "machine": {"cores": len(os.sched_getaffinity(0)), "system": platform.system()},
            "students": num_students,
            "jobs": jobs,
            "jail": ways[0][1],
            "runs": runs,
            "own_s": round(statistics.median(own_s), 4),
            **{name: round(size / num_students) for name, size in sizes.items()},
        }


@contextlib.contextmanager
def class_of(assignment, num_students):
    """A folder with the made-up class and the gradebook, ready to be graded."""
    with tempfile.TemporaryDirectory(prefix="costs-") as work:
        make_class(assignment, work, num_students)
        course.nbgrader("generate_assignment", assignment, work=work)
        yield work


def against_stock(assignment, num_students, rounds, _jobs):
    """{"stock": …}: the course's `nbgrader autograde` and stock nbgrader in turn, in a class of so many."""
    runs = []
    for _ in range(rounds):
        for jail in (modes.require(), "stock"):
            with class_of(assignment, num_students) as work:
                runs.append(measure(assignment, work, 0, jail))
                print(runs[-1], flush=True)
    return {"stock": {"date": date.today().isoformat(), "students": num_students, "runs": runs}}


def whole_class(assignment, num_students, _rounds, jobs):
    """{"class": …}: one run of `grade` over a class of so many."""
    with class_of(assignment, num_students) as work:
        found = measure(assignment, work, jobs, modes.require())
    return {"class": {"date": date.today().isoformat(), "students": num_students} | found}


def endless_loop(assignment, _num_students, _rounds, _jobs):
    """{"loop": …}: seconds that a submission takes, and one more of whose functions never ends."""
    reference = course.reference_answers(assignment)
    cells = read_script(course.ROOT / "solutions" / assignment / f"{assignment}.py")
    first = next(cell.name for cell in cells if cell.kind == "solution")
    loop = {first: f"def {first}(*args, **options):\n    while True:\n        pass\n"}
    with class_of(assignment, 0) as work:
        for student, answers in (("honest", reference), ("loop", reference | loop)):
            course.hand_in(work, student, assignment, course.submission(assignment, answers))
        found = measure(assignment, work, 1, modes.require())
        lines = map(json.loads, Path(work, "runs", assignment, "journal.jsonl").read_text().splitlines())
        seconds = {line["student"]: line["seconds"] for line in lines if "student" in line}
    own = {f"{student}_s": round(value, 2) for student, value in seconds.items()}
    return {"loop": {"date": date.today().isoformat(), "load": found["load"]} | own}


def load():
    """The figures that were saved."""
    return json.loads(SAVED.read_text(encoding="utf-8"))


def add_arguments(parser):
    parser.add_argument("assignment", nargs="?", default="03_kv_cache", metavar="NN_topic")
    parser.add_argument("--students", type=int, default=16, help="submissions of the made-up class")
    parser.add_argument("--rounds", type=int, default=2, help="how often each way is measured")
    parser.add_argument("--jobs", type=int, default=2, help="processes of the sharded way")
    for name, does in (
        ("stock", "alternate with stock nbgrader"),
        ("whole-class", "one run of `grade` over the class, and nothing else"),
        ("loop", "what a function that never ends costs"),
    ):
        parser.add_argument(f"--{name}", action="store_true", help=does)
    parser.add_argument("--save", action="store_true", help=f"write {SAVED.relative_to(course.ROOT)}")


def run(options):
    """Exit code: 0, or 1 where a grading failed."""
    sizes = options.assignment, options.students, options.rounds, options.jobs
    own = {"stock": against_stock, "whole_class": whole_class, "loop": endless_loop}
    wanted = [measured for name, measured in own.items() if getattr(options, name)]
    try:
        for found in (measured(*sizes) for measured in wanted) if wanted else measure_all(*sizes):
            costs = (load() if SAVED.exists() else {}) | found
            print(found if wanted else f"\n{cost_table(costs)}\n\n{plan_table(costs)}\n", flush=True)
            if options.save:
                SAVED.write_text(json.dumps(costs, indent=1) + "\n", encoding="utf-8")
                print(f"saved in {SAVED.relative_to(course.ROOT)}", flush=True)
    except course.CommandFailed as error:
        print(error, file=sys.stderr)
        return 1
    return 0
