"""A question with parameters: a Kind has blanks, and `make` fills them."""

import random
from collections.abc import Callable
from dataclasses import dataclass

MAX_DRAWS = 2000


@dataclass(frozen=True)
class Kind:
    """A question with blanks. draws: {blank: what it may be}; answer: of the drawn values; tolerance: a share of it."""

    name: str
    chapter: str
    text: str
    unit: str
    draws: dict
    answer: Callable
    working: str
    tolerance: float = 0.0


@dataclass(frozen=True)
class Question:
    """A Kind with its blanks filled; an answer at most `margin` away from `answer` counts."""

    name: str
    kind: Kind
    values: dict
    text: str
    answer: float
    margin: float
    working: str


def make(kind, seed, num_variants):
    """num_variants Questions of a kind, no two alike; the same ones for the same seed on every machine.

    More of them only add to the fewer. Raises ValueError where the kind has not so many.
    """
    rng, found = random.Random(f"{kind.name}/{seed}"), {}
    for _ in range(MAX_DRAWS):
        if len(found) >= num_variants:
            return list(found.values())
        values = {blank: rng.choice(choices) for blank, choices in kind.draws.items()}
        question = fill(kind, values, f"{kind.name} {seed}-{len(found) + 1}")
        found.setdefault(question.text, question)
    raise ValueError(f"{kind.name} has {len(found)} variants, not {num_variants}")


def fill(kind, values, name):
    """The Question of this name, with the blanks of a kind filled."""
    answer = kind.answer(**values)
    how = f"{kind.unit}, within {kind.tolerance:.0%}" if kind.tolerance else f"{kind.unit}, exactly"
    text = f"{kind.text.format(**values)} (Answer in {how}.)"
    working = f"{kind.working.format(**values)} = {number(answer)} {kind.unit}"
    return Question(name, kind, values, text, answer, abs(answer) * kind.tolerance, working)


def number(value):
    """A number as a key shows it: a whole one in full, others to six digits."""
    return f"{value:.0f}" if value == int(value) else f"{value:.6g}"
