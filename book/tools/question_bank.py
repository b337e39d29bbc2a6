"""The question bank as files: `python book/tools/question_bank.py --seed 2026 --variants 5 [--chapter 03_kv_cache]`.

Writes into --out: `questions_qti12.zip` (QTI 1.2 as Canvas imports it, by text2qti), `questions_moodle.xml` and
`questions_key.csv`. The variants of a question are a group in QTI, of which each student gets one at random, and a
category in Moodle, to draw one from. Another seed gives other numbers, the same seed the same.
"""

import argparse
import sys
from itertools import groupby
from pathlib import Path
from xml.etree import ElementTree

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))

from text2qti.config import Config  # noqa: E402 (the script may be started from anywhere)
from text2qti.qti import QTI  # noqa: E402
from text2qti.quiz import Quiz  # noqa: E402

from autograder.grading.spreadsheet import as_csv  # noqa: E402
from book.tools import questions as of_one_engine  # noqa: E402
from book.tools import questions_beyond  # noqa: E402
from book.tools.question import make, number  # noqa: E402

TITLE = "LLM inference, by hand"
KINDS = (*of_one_engine.KINDS, *questions_beyond.KINDS)


def questions(seed, num_variants, chapter=None):
    """The Questions of every kind, or of a chapter's. Raises ValueError where there is none to give."""
    kinds = [kind for kind in KINDS if chapter in (None, kind.chapter)]
    if not kinds:
        raise ValueError(f"no question belongs to {chapter!r}; chapters are {', '.join(known_chapters())}")
    if num_variants < 1:
        raise ValueError(f"variants must be at least 1, got {num_variants}")
    return [question for kind in kinds for question in make(kind, seed, num_variants)]


def known_chapters():
    return dict.fromkeys(kind.chapter for kind in KINDS)


def by_kind(some):
    return [(kind, list(group)) for kind, group in groupby(some, key=lambda question: question.kind)]


def as_quiz_text(some):
    """The questions in the plain text that text2qti reads: a group of variants for each kind."""
    lines = [f"Quiz title: {TITLE}", ""]
    for _, variants in by_kind(some):
        lines += ["GROUP", "pick: 1", "points per question: 1", ""]
        for question in variants:
            margin = f" +- {question.margin!r}" if question.margin else ""
            lines += [f"Title: {question.name}", f"1.  {question.text}", f"...  {question.working}"]
            lines += [f"=   {question.answer!r}{margin}", ""]
        lines += ["END_GROUP", ""]
    return "\n".join(lines)


def write_qti(some, path):
    """Writes the questions as a QTI 1.2 package."""
    QTI(Quiz(as_quiz_text(some), config=Config())).save(path)


def moodle_xml(some):
    """The questions as Moodle XML: a category for each kind, its variants of type `numerical`."""
    quiz = ElementTree.Element("quiz")
    for kind, variants in by_kind(some):
        category = ElementTree.SubElement(quiz, "question", type="category")
        put(category, "category", f"$course$/top/{TITLE}/{kind.chapter}/{kind.name}")
        quiz.extend(moodle_question(question) for question in variants)
    ElementTree.indent(quiz)
    return ElementTree.tostring(quiz, encoding="unicode", xml_declaration=True) + "\n"


def moodle_question(question):
    element = ElementTree.Element("question", type="numerical")
    put(element, "name", question.name)
    put(element, "questiontext", question.text, format="plain_text")
    put(element, "generalfeedback", question.working, format="plain_text")
    for tag, value in (("defaultgrade", "1"), ("penalty", "0.3333333"), ("hidden", "0"), ("idnumber", question.name)):
        ElementTree.SubElement(element, tag).text = value
    answer = put(element, "answer", repr(question.answer), fraction="100", format="moodle_auto_format")
    put(answer, "feedback", "", format="plain_text")
    ElementTree.SubElement(answer, "tolerance").text = repr(question.margin)
    # 3: the answer is a number alone; its unit stands in the question
    for tag, value in (("unitgradingtype", "0"), ("unitpenalty", "0.1"), ("showunits", "3"), ("unitsleft", "0")):
        ElementTree.SubElement(element, tag).text = value
    return element


def put(parent, tag, words, **attributes):
    element = ElementTree.SubElement(parent, tag, attributes)
    ElementTree.SubElement(element, "text").text = words
    return element


def answer_key(some):
    """The key as CSV: a row for each question."""
    header = ["question", "chapter", "text", "answer", "unit", "accepted from", "to", "working"]
    rows = []
    for question in some:
        span = [number(question.answer + sign * question.margin) for sign in (-1, 1)]
        kind, answer = question.kind, number(question.answer)
        rows.append([question.name, kind.chapter, question.text, answer, kind.unit, *span, question.working])
    return as_csv(header, rows)


def main(argv=None):
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seed", type=int, default=1, help="another seed, other numbers")
    parser.add_argument("--variants", type=int, default=5, help="of each question")
    parser.add_argument("--chapter", metavar="NN_topic", help="questions of one chapter only")
    parser.add_argument("--out", type=Path, default=Path("questions"), help="the folder to write into")
    args = parser.parse_args(argv)
    try:
        some = questions(args.seed, args.variants, args.chapter)
    except ValueError as error:
        print(f"question bank: {error}", file=sys.stderr)
        return 1
    args.out.mkdir(parents=True, exist_ok=True)
    write_qti(some, args.out / "questions_qti12.zip")
    (args.out / "questions_moodle.xml").write_text(moodle_xml(some), encoding="utf-8")
    (args.out / "questions_key.csv").write_text(answer_key(some), encoding="utf-8")
    print(f"{len(some)} questions of {len(by_kind(some))} kinds in {args.out}: QTI 1.2, Moodle XML and the key")
    return 0


if __name__ == "__main__":
    sys.exit(main())
