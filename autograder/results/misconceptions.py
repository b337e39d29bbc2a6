"""Answers that lost points, together where they fail alike, with the name of the misconception where one is known.

The named wrong answers of the audit bank, which are the course's own, are scored anew for their messages."""

import re
from collections import defaultdict
from dataclasses import dataclass, field

from autograder.auditor.candidates import load_topic, scratch_folder
from autograder.auditor.children import score_all
from autograder.grading import course
from autograder.results.feedback import MAX_MESSAGE_CHARS

BANK_SECONDS = 10
HIDDEN = "fails hidden checks only"


@dataclass
class Group:
    """Answers to one exercise that fail alike. named: {wrong answer of the bank with these messages: what it says}."""

    visible: str
    hidden: str
    students: list = field(default_factory=list)
    named: dict = field(default_factory=dict)


def as_in_notebook(reason):
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
            messages = tuple(as_in_notebook(run.reasons.get(f"{kind}_{exercise}", "")) for kind in ("test", "hidden"))
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
