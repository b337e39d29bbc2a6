"""The changes that make mutants of WGSL: a kernel's text in a string, changed in one place as people get kernels wrong.

The operators of operators.py see a string as one constant. Endless loops are left out: they cost the audit seconds and
prove nothing about a test.
"""

import ast
import re

OPERAND = r"-?[\w.]+(?:\([^()]*\)|\[[^\[\]]*\])?"
# (label, pattern, what takes the place of the match); the pattern is looked for in each line
RULES = [
    (label, re.compile(pattern), change)
    for label, pattern, change in (
        ("barrier removed", r"\w+Barrier\(\);", ""),
        ("loop bound off by one", r"(?<=for \()([^;]*;[^;]*?) < ", r"\1 <= "),
        ("loop starts late", r"(?<=for \()(var \w+ = )0u", r"\g<1>1u"),
        ("loop stops early", r"(?<=for \()([^;]*;[^;]*?)> 0u", r"\1> 1u"),
        ("guard removed", r"if \([^{}]*\) \{ return; \}", ""),
        ("condition dropped", r"if \([^{}]*\) (?=\{ (?!return))", ""),
        ("comparison", r"(?<=if \()([^{}]*?) < ", r"\1 <= "),
        ("comparison", r"(?<=if \()([^{}]*?) >= ", r"\1 > "),
        ("update to assignment", r" \+= (?=.*;)", " = "),
        ("max to min", r"\bmax\(", "min("),
        ("max dropped", rf"\bmax\(({OPERAND}), ({OPERAND})\)", r"\1"),
        ("max dropped", rf"\bmax\(({OPERAND}), ({OPERAND})\)", r"\2"),
        ("factor dropped", rf" [*/] {OPERAND}", ""),
        ("factor dropped", rf"{OPERAND} \* ", ""),
        ("arithmetic", r" \+ (?!=)", " - "),
        ("arithmetic", r" - ", " + "),
        ("term dropped", rf" [+-] {OPERAND}", ""),
        ("call unwrapped", r"\b(?:exp|sqrt|inverseSqrt|f32|i32)(?=\()", ""),
        ("root dropped", r"\binverseSqrt\(", "1.0 / ("),
        ("off by one", r"(?<=[ (\[])(\d+)u\b", lambda found: f"{int(found[1]) + 1}u"),
        ("another place", r"\[0\]", "[1]"),
    )
]


def is_shader(text):
    return isinstance(text, str) and re.search(r"^\s*fn \w+\(", text, re.M) is not None


def mutate_shader(node):
    """(label, changed node) of a string that holds WGSL functions; other constants have none."""
    if not is_shader(node.value):
        return
    lines = node.value.split("\n")
    for i, line in enumerate(lines):
        if re.match(r"\s*(@|fn |struct |var<|//)", line):
            continue  # declarations and what the host counts on
        for label, pattern, change in RULES:
            for found in pattern.finditer(line):
                put = change(found) if callable(change) else found.expand(change)
                new = line[: found.start()] + put + line[found.end() :]
                yield label, ast.Constant("\n".join([*lines[:i], new, *lines[i + 1 :]]))
