"""What became of each exercise over a class, in numbers and as pictures."""

import statistics
from collections import Counter
from dataclasses import dataclass

from autograder.grading.spreadsheet import as_csv

MIN_STUDENTS = 3  # below this a correlation says nothing


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


def items_csv(exercises, groups):
    header = ["exercise", "points", "difficulty", "discrimination", "all points", "some", "none", "not written"]
    rows = []
    for item in exercises:
        counts = Counter({name: len(group.students) for group in groups[item.name] for name in group.named})
        numbers = ["" if value is None else f"{value:.3f}" for value in (item.difficulty, item.discrimination)]
        named = "; ".join(f"{name} ({count})" for name, count in counts.most_common(3))
        rows.append([item.name, item.points, *numbers, item.full, item.part, item.none, item.blank, named])
    return as_csv([*header, "most frequent named mistakes"], rows)
