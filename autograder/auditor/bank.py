"""Reads the bank: of every exercise the wrong answers, as edits of the reference, and the right ones, whole.

One file per exercise, `autograder/audit/NN_topic/<exercise>.txt`; its format is in CONTRIBUTING.md.
"""

import ast
import itertools
import re
from dataclasses import dataclass, field
from pathlib import Path

from autograder.assignment.cells import names_given

HEADER = re.compile(
    r"== (?P<kind>wrong|right|equivalent)(?: (?P<name>\w+))?(?: (?P<whole>whole)| of (?P<base>\w+))?"
    r"(?:, caught by (?P<check>test|hidden)(?:: (?P<fragment>.+))?)?"
)
HEADERS = "`== wrong name, caught by test: words`, `== right name` or `== equivalent`"


@dataclass
class Answer:
    """One named answer. says: what it is, in a sentence. line: where it stands in its file.

    check: "test" or "hidden", the cell that must catch a wrong answer. fragment: words that its reason must hold.
    """

    name: str
    line: int
    says: str
    source: str
    check: str = ""
    fragment: str = ""


@dataclass
class Bank:
    """One exercise's answers by name, its equivalent mutants {change: reason}, and the file's faults, one text each."""

    path: Path
    wrong: dict = field(default_factory=dict)
    right: dict = field(default_factory=dict)
    equivalent: dict = field(default_factory=dict)
    faults: list = field(default_factory=list)

    def at(self, line):
        """Where a line stands, for a fault."""
        return f"{self.path.parent.name}/{self.path.name}:{line}"


class BankError(ValueError):
    """What is wrong in a line of a bank: `line`, then the reason."""


def read_bank(path, reference):
    """The Bank in the file at `path`; `reference` is the solution cell of its exercise. What is faulty is left out."""
    bank = Bank(Path(path))
    text = bank.path.read_text(encoding="utf-8") if bank.path.exists() else ""
    sections = list(split(text, bank))
    for wanted in ("right", "wrong", "equivalent"):  # a wrong answer may be an edit of a right one
        for line, header, body in sections:
            if header["kind"] == wanted:
                try:
                    add(bank, line, header, body, reference)
                except BankError as error:
                    bank.faults.append(f"{bank.at(error.args[0])}: {error.args[1]}")
    if not bank.wrong:
        bank.faults.append(f"{bank.at(1)}: no wrong answer in the bank")
    if len(bank.right) < 2:
        bank.faults.append(f"{bank.at(1)}: {len(bank.right)} right answers in the bank, at least 2 are needed")
    return bank


def split(text, bank):
    """(line number, header, lines of the body) of each section; blank lines at the ends of a body are dropped."""
    lines = text.split("\n")
    starts = [i for i, line in enumerate(lines) if line.startswith("== ")]
    stray = next((i for i, line in enumerate(lines[: starts[0] if starts else None], 1) if line.strip()), None)
    if stray:
        bank.faults.append(f"{bank.at(stray)}: text before the first header: a header is {HEADERS}")
    for i, end in itertools.pairwise([*starts, len(lines)]):
        header = HEADER.fullmatch(lines[i])
        if not header or bool(header["name"]) == (header["kind"] == "equivalent"):
            bank.faults.append(f"{bank.at(i + 1)}: cannot read `{lines[i]}`: a header is {HEADERS}")
            continue
        body = lines[i + 1 : end]
        while body and not body[-1].strip():
            body.pop()
        yield i + 1, header, body


def add(bank, line, header, body, reference):
    """Puts one section into the bank. Raises BankError."""
    kind, name = header["kind"], header["name"]
    if kind == "equivalent":
        bank.equivalent |= dict(read_equivalent(number, text) for number, text in enumerate(body, line + 1) if text)
        return
    if name in getattr(bank, kind):
        raise BankError(line, f"{kind} {name} stands twice")
    if len(body) < 2 or not body[0].strip() or " => " in body[0] or body[0] == "<<<":
        raise BankError(line, f"{kind} {name} needs a sentence that says what it is, then its text or edits")
    if kind == "wrong" and not header["check"]:
        raise BankError(line, f"wrong {name} does not say which check catches it: `, caught by hidden: words`")
    if kind == "right" or header["whole"]:
        source = completed("\n".join(body[1:]), reference)
    elif header["base"] and header["base"] not in bank.right:
        raise BankError(line, f"wrong {name} is an edit of right {header['base']}, which is not there")
    else:
        base = bank.right[header["base"]].source if header["base"] else reference
        source = edited(base, read_edits(body[1:], line + 2))
    try:
        ast.parse(source)
    except SyntaxError as error:
        raise BankError(line, f"{kind} {name} is not Python: {error}") from error
    answer = Answer(name, line, body[0].strip(), source, header["check"] or "", header["fragment"] or "")
    getattr(bank, kind)[name] = answer


def completed(text, reference):
    """An answer that is written out; functions of the cell that it lacks are the reference's."""
    lacks = set(names_given(reference)) - set(names_given(text))
    return f"{reference}\n\n\n{text}" if lacks and names_given(text) else text


def read_equivalent(number, text):
    """(change, reason) of a line `old text => new text  # reason`."""
    change, _, reason = text.rpartition("  # ")
    if " => " not in change or not reason.strip():
        raise BankError(number, "must be `old text => new text  # reason`")
    return change.strip(), reason.strip()


def read_edits(lines, number):
    """[(line number, old text, new text, whole lines or not)]; `number` is that of the first line."""
    edits, left = [], list(enumerate(lines, number))
    while left:
        start, line = left.pop(0)
        if line == "<<<":
            old, new = take(left, "===", start), take(left, ">>>", start)
            edits.append((start, old, new, True))
        elif " => " in line or line.endswith(" =>"):
            old, _, new = line.partition(" =>")
            edits.append((start, old.strip(), new.strip(), False))
        elif line.strip():
            raise BankError(start, f"neither `old => new` nor a block <<< … === … >>>: `{line}`")
    return edits


def take(left, mark, start):
    """The text of the lines up to a mark, which are taken out of `left`."""
    lines = []
    while left:
        _, line = left.pop(0)
        if line == mark:
            return "\n".join(lines)
        lines.append(line)
    raise BankError(start, f"the block has no line {mark}")


def edited(source, edits):
    """The source with every edit made, one after the other. Raises BankError where an old text is not there once."""
    for number, old, new, is_block in edits:
        text, part = (f"\n{source}\n", f"\n{old}\n") if is_block else (source, old)
        count = text.count(part)
        if count != 1:
            first = old.split("\n")[0].strip()
            raise BankError(number, f"the text to change stands {count} times in the answer, not once: `{first}`")
        if is_block:
            source = text.replace(part, f"\n{new}\n" if new else "\n")[1:-1]
        else:
            source = text.replace(part, new)
    return source
