"""What a hidden check may say to a student: its own words, as they stand in the test's source.

No value that the test computed, no number, no quoted text, nothing that the student's code could have put there."""

import ast
import re

from autograder.sandbox.warden import ENDED as LIMITS

MIN_WORDS = 8  # letters; less says nothing
ANSI = re.compile(r"\x1b\[[0-9;]*[A-Za-z]")
DATA = re.compile(
    r"""(?<!\w)(['"`])[^'"`]{1,80}\1(?!\w)"""  # a quoted text
    r"|(?<![\w.])(?<!\w-)[-+]?\d[\d_]*(?:\.\d+)?(?:e[-+]?\d+)?"  # a number, not those in float32 and Llama-2-7B
)
GAP = "…"
VISIBLE = "the check failed."
GENERAL = "a result is not what it should be, on inputs that the checks in the notebook do not try."
ENDED = "the notebook's process had ended (exit, crash or out of memory)."
ENDINGS = ("DeadKernelError", "StudentProcessError")
# Three bits a check, beside which of its messages it gives: the rest of what code could tell by the error it chooses.
KINDS = ("TypeError", "ValueError", "IndexError", "KeyError", "AttributeError", "NameError", "ZeroDivisionError")
PLAIN_SENTENCES = ("NotImplementedError", "CellTimeoutError", "TimeoutError")
SENTENCES = {
    "AssertionError": GENERAL,
    "NotImplementedError": "it is not written yet.",
    "CellTimeoutError": "it ran too long.",
    "TimeoutError": "it ran too long.",
}


def error_of(cell):
    """The first error among a cell's outputs, or None."""
    return next((output for output in cell.get("outputs", []) if output.output_type == "error"), None)


def hidden_words(cell, is_visible=False):
    """Why a check failed, in words of its source; "" where it passed. A visible one's own numbers may be read."""
    error = error_of(cell)
    if error is None:
        return ""
    if error.ename in ENDINGS:
        return ending(error)
    tried, words = tried_of(error), ""
    if tried.startswith("when ") and error.ename not in PLAIN_SENTENCES:
        return f"your code raises {known_name(error.ename)} {tried}."
    if tried.startswith("with "):
        return f"it cannot go on {tried}."
    if error.ename == "AssertionError":
        words = best_wording(wordings(cell.source), ANSI.sub("", error.evalue).strip(), is_visible)
        words = words or (VISIBLE if is_visible else "")
    return words or SENTENCES.get(error.ename) or f"your code raises {known_name(error.ename)} there."


def tried_of(error):
    """What a test asked of the student's code last, see outside/tried.py; "" where the tester did not say."""
    return error.traceback[1].rstrip(",") if len(error.traceback) == 2 else ""


def ending(error):
    """That the process had ended, and which of the jail's limits ended it where it was one."""
    limit = next((text for text in LIMITS.values() if error.evalue.startswith(text)), "")
    return f"the notebook's process had ended. {limit}" if limit else ENDED


def known_name(ename):
    """The name of an exception where it is one of a few, for the choice of it can tell what a check gave."""
    return ename if ename in KINDS else "an error"


def wordings(source):
    """Every message that a test's source can give: a list of (parts, whole). A part is text, or None for a value.

    whole: the message is all that is raised; numpy.testing wraps its own words around an err_msg.
    """
    try:
        tree = ast.parse(source)
    except SyntaxError:
        return []
    named = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.Assign) and len(node.targets) == 1 and isinstance(node.targets[0], ast.Name):
            named.setdefault(node.targets[0].id, []).append(node.value)
    found = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Assert) and node.msg is not None:
            found += [(parts, True) for parts in alternatives(node.msg, named)]
        elif isinstance(node, ast.Raise) and isinstance(node.exc, ast.Call) and node.exc.args:
            found += [(parts, True) for parts in alternatives(node.exc.args[0], named)]
        elif isinstance(node, ast.keyword) and node.arg == "err_msg":
            found += [(parts, False) for parts in alternatives(node.value, named)]
    return found


def alternatives(node, named, depth=3):
    """The lists of parts that an expression of text can give."""
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        return [[node.value]]
    if isinstance(node, ast.JoinedStr):
        return [[part.value if isinstance(part, ast.Constant) else None for part in node.values]]
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Add):
        left, right = alternatives(node.left, named, depth), alternatives(node.right, named, depth)
        return [a + b for a in left for b in right]
    if isinstance(node, ast.IfExp):
        return alternatives(node.body, named, depth) + alternatives(node.orelse, named, depth)
    if isinstance(node, ast.Name) and depth:
        return [parts for value in named.get(node.id, []) for parts in alternatives(value, named, depth - 1)]
    return [[None]]


def best_wording(found, text, is_visible=False):
    """The words of the message that `text` was made from, without any data; "" where none fits."""
    best, most = "", MIN_WORDS - 1
    for parts, whole in found:
        texts = [part for part in parts if part is not None]
        letters = sum(map(str.isalpha, "".join(texts)))
        if letters > most and fits(parts, text, whole):
            shown = GAP.join(part if is_visible else DATA.sub(GAP, part) for part in joined(parts))
            best, most = re.sub(rf"{GAP}(?:[\s,;()\[\]]*{GAP})+", GAP, shown).strip(), letters
    return best


def joined(parts):
    """The texts before, between and after the values."""
    texts = [""]
    for part in parts:
        if part is None:
            texts.append("")
        else:
            texts[-1] += part
    return texts


def fits(parts, text, whole):
    """Whether the parts' texts stand in `text` in their order, with anything where a value was."""
    texts, place = [part.strip() if part.isspace() else part for part in joined(parts)], 0
    texts[0], texts[-1] = texts[0].lstrip(), texts[-1].rstrip()
    if whole and not (text.startswith(texts[0]) and text.endswith(texts[-1])):
        return False
    for part in texts:
        place = text.find(part, place)
        if place < 0:
            return False
        place += len(part)
    return True
