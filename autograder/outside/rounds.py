"""WGSL that counts the rounds of its loops.

Mesa's software device leaves a kernel's loops after 65,535 rounds in all (LP_MAX_TGSI_LOOP_ITERATIONS) and goes on
behind them, so that a kernel which never ends on a GPU could give right numbers there.
"""

import re
import secrets

MOST_ROUNDS = 60_000
OWN = f"course_{secrets.token_hex(4)}"  # a kernel must not know the names, or it could set the count back
LINE_ENDS = "\n\v\f\r\x85\u2028\u2029"
OUTSIDE, INSIDE = re.compile(rf"//[^{LINE_ENDS}]*|/\*"), re.compile(r"/\*|\*/")
LOOP = re.compile(r"\b(?:loop|while|for)\b")
COUNT = f" {OWN}_rounds += 1u; if ({OWN}_rounds > {MOST_ROUNDS}u) {{ {OWN}_stuck[0] = 1u; }}"


def counted(wgsl, binding):
    """The text with a count in every loop, line for line; past MOST_ROUNDS the storage buffer at `binding` gets a 1."""
    wgsl = without_comments(wgsl)
    parts, end = [], 0
    for found in LOOP.finditer(wgsl):
        place = body_of(wgsl, found.end())
        if place:
            parts += [wgsl[end:place], COUNT]
            end = place
    declared = f"@group(0) @binding({binding}) var<storage, read_write> {OWN}_stuck: array<u32>;"
    return "".join([*parts, wgsl[end:], f"\nvar<private> {OWN}_rounds: u32;\n{declared}\n"])


def without_comments(wgsl):
    """The text with blanks for its comments, of which those in `/*` and `*/` hold others; every line end stays."""
    parts, depth, start, place = [], 0, 0, 0
    while found := (INSIDE if depth else OUTSIDE).search(wgsl, place):
        if not depth:
            parts.append(wgsl[start : found.start()])
            start = found.start()
        place = found.end()
        depth += {"/*": 1, "*/": -1}.get(found[0], 0)
        if not depth:
            parts.append(blank(wgsl[start:place]))
            start = place
    return "".join([*parts, blank(wgsl[start:]) if depth else wgsl[start:]])


def blank(text):
    return re.sub(rf"[^{LINE_ENDS}]", " ", text)


def body_of(wgsl, start):
    """The place behind the brace that opens a loop's body, its head being in parentheses or none; None without one."""
    depth = 0
    for place in range(start, len(wgsl)):
        depth += {"(": 1, ")": -1}.get(wgsl[place], 0)
        if wgsl[place] == "{" and depth == 0:
            return place + 1
    return None
