"""WGSL that counts the rounds of its loops.

Mesa's software device leaves a kernel's loops after 65,535 rounds in all (LP_MAX_TGSI_LOOP_ITERATIONS) and goes on
behind them, so that a kernel which never ends on a GPU could give right numbers there.
"""

import re

MOST_ROUNDS = 60_000
LOOP = re.compile(r"//[^\n]*|/\*.*?\*/|\b(loop|while|for)\b", re.S)
COUNT = f" course_rounds += 1u; if (course_rounds > {MOST_ROUNDS}u) {{ course_stuck[0] = 1u; }}"


def counted(wgsl, binding):
    """The text with a count in every loop, line for line; past MOST_ROUNDS the storage buffer at `binding` gets a 1."""
    parts, end = [], 0
    for found in LOOP.finditer(wgsl):
        place = found[1] and body_of(wgsl, found.end())
        if place:
            parts += [wgsl[end:place], COUNT]
            end = place
    declared = f"@group(0) @binding({binding}) var<storage, read_write> course_stuck: array<u32>;"
    return "".join([*parts, wgsl[end:], f"\nvar<private> course_rounds: u32;\n{declared}\n"])


def body_of(wgsl, start):
    """The place behind the brace that opens a loop's body, its head being in parentheses or none; None without one."""
    depth = 0
    for place in range(start, len(wgsl)):
        depth += {"(": 1, ")": -1}.get(wgsl[place], 0)
        if wgsl[place] == "{" and depth == 0:
            return place + 1
    return None
