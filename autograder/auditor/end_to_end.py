"""The audit's sample through real nbgrader: the gradebook must say what the in-process scores say, cell by cell."""

import random
import sys
import tempfile

from autograder.grading import course

from .candidates import candidates_of, load_topic, scratch_folder
from .children import score_all

SECONDS = 30


def sample(topic, banks, count, seed=0):
    """{student: {exercise: source}}: `count` submissions, each with one candidate drawn for every exercise."""
    rng = random.Random(seed)
    pools = {}
    for name, parts in topic.exercises.items():
        named = candidates_of(name, parts["solution"].source, banks[name])
        pools[name] = [(" ".join((key[0], key[2])), answers[name]) for key, answers in named]
    drawn = {}
    for number in range(count):
        drawn[f"student{number:02d}"] = {name: rng.choice(pool) for name, pool in pools.items()}
    return drawn


def compare(name, count=4, root=course.ROOT):
    """(differences, number of compared cells): texts for each test cell that nbgrader scores otherwise."""
    with scratch_folder(root / "solutions" / name):
        topic, banks, _ = load_topic(name, root)
        drawn = sample(topic, banks, count)
        work = [
            (
                student,
                {exercise: text for exercise, (_, text) in answers.items()},
                list(topic.exercises),
                SECONDS,
                False,
            )
            for student, answers in drawn.items()
        ]
        wanted = {student: run for student, run in score_all(topic, 2, work) if "ran longer" not in str(run.reasons)}
    with tempfile.TemporaryDirectory(prefix="end-to-end-") as folder:
        for student in wanted:
            answers = {exercise: text for exercise, (_, text) in drawn[student].items()}
            course.hand_in(folder, student, name, course.submission(name, answers, root))
        course.nbgrader("autograde", name, work=folder, root=root)
        got = course.grades(folder, name)
    differences, compared = [], 0
    for student, run in wanted.items():
        for grade_id, points in run.points.items():
            compared += 1
            if got[student][grade_id] != points:
                label, _ = drawn[student][course.exercise_of(grade_id)]
                differences.append(
                    f"{name} {student} {grade_id}: nbgrader gives {got[student][grade_id]}, in-process {points} "
                    f"({label}; {run.reasons[grade_id] or 'passes'})"
                )
    return differences, compared


def run(topics, count=4):
    """Exit code: 0 where nbgrader and the in-process scores agree on every cell."""
    status = 0
    for name in topics:
        differences, compared = compare(name, count)
        print(f"{name}: {compared} cells graded by nbgrader, {len(differences)} scored otherwise in-process")
        print("\n".join(differences), file=sys.stderr, end="\n" if differences else "")
        status = status or int(bool(differences))
    return status
