"""Submissions that are nearly the same text, whatever the names, the comments and the layout.

Both texts become sets of K tokens in a row, as in Schleimer, Wilkerson and Aiken, "Winnowing" (SIGMOD 2003), here
without the sampling: an assignment is small.
"""

import ast
import builtins
import re
from itertools import combinations

K = 8
MIN_GRAMS = 40  # shorter answers look alike without anyone having copied
MIN_SHARE = 0.8
KEPT = set(dir(builtins)) | {"np", "torch", "math", "self"}


class Rename(ast.NodeTransformer):
    """The student's own names become `v`; docstrings go."""

    def visit_Name(self, node):
        return node if node.id in KEPT else ast.Name("v", node.ctx)

    def visit_arg(self, node):
        return ast.arg("v")

    def visit_FunctionDef(self, node):
        if ast.get_docstring(node) is not None:
            node.body = node.body[1:] or [ast.Pass()]
        return self.generic_visit(node)

    visit_ClassDef = visit_FunctionDef


def tokens(source):
    """The tokens of a text; of code that parses, without comments, docstrings and the student's choice of names."""
    try:
        source = ast.unparse(ast.fix_missing_locations(Rename().visit(ast.parse(source))))
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        source = re.sub(r"#.*", "", source)
    return re.findall(r"\w+|[^\w\s]", source)


def grams(sources):
    """Every K tokens in a row of each text."""
    found = set()
    for source in sources:
        words = tokens(source)
        found |= {tuple(words[start : start + K]) for start in range(len(words) - K + 1)}
    return found


def near_identical(answers, given=()):
    """[(share, [students])], the largest share first: groups whose answers share MIN_SHARE or more of all they hold.

    answers: {student: [source]}. given: texts that everyone got, which count for nobody. share: the smallest share
    (of the union) between two students of the group who were compared and found alike.
    """
    common = grams(given)
    own = {student: grams(sources) - common for student, sources in answers.items()}
    own = {student: found for student, found in own.items() if len(found) >= MIN_GRAMS}
    group_of, share_of = {student: student for student in own}, {}
    for one, other in combinations(own, 2):
        share = len(own[one] & own[other]) / len(own[one] | own[other])
        if share < MIN_SHARE:
            continue
        kept, gone = group_of[one], group_of[other]
        share_of[kept] = min(share, share_of.get(kept, 1), share_of.get(gone, 1))
        group_of = {student: kept if group == gone else group for student, group in group_of.items()}
    groups = {}
    for student, group in group_of.items():
        groups.setdefault(group, []).append(student)
    found = [(share_of[group], students) for group, students in groups.items() if len(students) > 1]
    return sorted(found, key=lambda pair: -pair[0])
