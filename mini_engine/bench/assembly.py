"""The loops in the assembly that Numba's `inspect_asm` gives, so that one can look at the one that does the work."""

import re

LABEL = re.compile(r"^(\.?\w+):")
JUMP = re.compile(r"^\s+(?:j\w+|b\.?\w*|cb\w+|tb\w+)\s.*?(\.?L\w+)")
ARITHMETIC = re.compile(r"^\s+(?:v?(?:add|mul|fn?m(?:add|sub)\d+)([ps])s|fml[as]|fmul|fadd|fmadd)\b")


def loops(assembly):
    """Every innermost loop of a text in assembly, as text: from a label to the jump that goes back to it."""
    seen, found, lines = {}, [], assembly.splitlines()
    for number, line in enumerate(lines):
        if label := LABEL.match(line):
            seen[label.group(1)] = number
        elif (jump := JUMP.match(line)) and jump.group(1) in seen:
            start = seen[jump.group(1)]
            if not any(start <= first for first, _ in found):
                found.append((start, number))
    return ["\n".join(lines[first : last + 1]) for first, last in found]


def busiest_loop(function):
    """The innermost loop of a function compiled by Numba that computes most floats, or "" without one.

    Instructions on whole vectors count before those on one number.
    """
    (signature, *_) = function.signatures

    def work(text):
        found = [match for match in map(ARITHMETIC.match, text.splitlines()) if match]
        return sum(match.group(1) == "p" for match in found), len(found)

    return max(loops(function.inspect_asm(signature)), key=work, default="")
