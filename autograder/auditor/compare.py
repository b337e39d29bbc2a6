"""The bank of answers through agent and tester: every test cell must say what it says within one process.

Within one process the audit holds the right answers to full marks, so these need not run there once more.

python -m autograder audit [NN_topic ...] --outside [--share 4] [--mutants 5]
"""

import random
import sys
from dataclasses import dataclass, field

from autograder.outside import shader_server, shaders

from .candidates import ROOT, candidates_of, load_topic, scratch_folder
from .children import Run, score_all, score_references
from .pairs import Pair

LIMIT_S = 20
MUTANT_LIMIT_S = 5  # some mutants never end


@dataclass
class Agreement:
    """One topic's line: how many answers and test cells were compared, what differs, and the seconds that it took."""

    topic: str
    answers: int = 0
    cells: int = 0
    differences: list = field(default_factory=list)
    inside_s: float = 0.0
    outside_s: float = 0.0


def answers_of(topic, banks, exercises, share=1, mutants=0, seed=0):
    """(key, answers, exercises, limit, False) of the reference, the starter and the bank; right answers always.

    share: one of so many of the starters and wrong answers, drawn with the seed. mutants: so many per exercise.
    """
    rng = random.Random(seed)
    for name in exercises:
        solution = topic.exercises[name]["solution"].source
        yield ("reference", name, ""), {}, [name], LIMIT_S, False
        changed = []
        for key, answers in candidates_of(name, solution, banks[name]):
            if key[0] == "mutant":
                changed.append((key, answers))
            elif key[0] == "right" or rng.random() * share < 1:
                yield key, answers, [name], LIMIT_S, False
        for key, answers in rng.sample(changed, min(mutants, len(changed))):
            yield key, answers, [name], MUTANT_LIMIT_S, False


def compare(name, exercises=None, root=ROOT, jobs=2, progress=None, **sizes):
    """The Agreement of one topic."""
    found = Agreement(name)
    with scratch_folder(root / "solutions" / name):
        topic, banks, _ = load_topic(name, root)
        wanted = [exercise for exercise in topic.exercises if not exercises or exercise in exercises]
        work = list(answers_of(topic, banks, wanted, **sizes))
        with shader_server.served(shaders.wanted(topic)):
            references = score_references(topic, jobs, wanted, LIMIT_S)
            inside = {("reference", exercise, ""): run for exercise, run in references.items()}
            inside |= {key: full_marks(topic, key[1]) for key, *_ in work if key[0] == "right"}
            inside |= score_all(topic, jobs, [candidate for candidate in work if candidate[0] not in inside])
            for done, (key, run) in enumerate(score_all(topic, jobs, work, start=Pair), 1):
                compare_one(found, key, inside[key], run)
                if progress:
                    progress(done, len(work))
    return found


def full_marks(topic, exercise):
    cells = [topic.exercises[exercise][kind] for kind in ("test", "hidden") if kind in topic.exercises[exercise]]
    return Run({cell.grade_id: cell.options["points"] for cell in cells}, {cell.grade_id: "" for cell in cells})


def compare_one(found, key, inside, outside):
    found.answers += 1
    found.inside_s += inside.cpu_s
    found.outside_s += outside.cpu_s
    for grade_id, reason in inside.reasons.items():
        found.cells += 1
        other = outside.reasons[grade_id]
        if bool(reason) != bool(other):
            found.differences.append(
                f"{found.topic} {' '.join(part for part in key if part)}, {grade_id}: "
                f"inside {reason[:200] or 'passes'!r}, outside {other[:200] or 'passes'!r}"
            )


def run(topics, exercises=None, jobs=2, progress_of=None, **sizes):
    """Exit code: 0 where every test cell says the same on every answer."""
    print(f"{'topic':28}  answers  cells  differ  seconds inside  outside")
    total, rows = Agreement("all"), []
    for name in topics:
        rows.append(compare(name, exercises, jobs=jobs, progress=progress_of and progress_of(name), **sizes))
        print(line_of(rows[-1]), flush=True)
    for row in rows:
        total.answers, total.cells = total.answers + row.answers, total.cells + row.cells
        total.differences += row.differences
        total.inside_s, total.outside_s = total.inside_s + row.inside_s, total.outside_s + row.outside_s
    print(line_of(total))
    print("\n".join(total.differences), file=sys.stderr, end="\n" if total.differences else "")
    return int(bool(total.differences))


def line_of(row):
    counts = f"{row.answers:7}  {row.cells:5}  {len(row.differences):6}"
    return f"{row.topic:28}  {counts}  {row.inside_s:14.1f}  {row.outside_s:7.1f}"
