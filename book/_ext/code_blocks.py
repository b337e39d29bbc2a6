"""Python that a chapter shows: at most 76 columns, and without the calls that carry its numbers into the prose. A long
piece of the engine is folded under its name.

What runs is untouched: this acts on the page. A comment or a text that is longer than that wraps in the browser.
"""

import ast
import re
import subprocess
import sys
import textwrap
from itertools import groupby
from pathlib import Path

from docutils import nodes
from sphinx.transforms import SphinxTransform

from book._ext.chapter_head import ancestors, is_output
from book._ext.html_element import element, text
from book._ext.nbexercise import exercise_card

COLUMNS = 76
LONG_LINES = 12
SHORT = 16  # letters of code that no line breaks
NAME = re.compile(r"^\s*(?:async )?(?:def|class) (\w+)", re.M)
PYTHON = {"python", "ipython3", "ipython", "py"}


def is_plumbing(statement):
    """True for `glue(…)` and its import, which print nothing and mean nothing to a reader."""
    if isinstance(statement, ast.ImportFrom):
        return [alias.name for alias in statement.names] == ["glue"]
    call = statement.value if isinstance(statement, ast.Expr) else None
    return isinstance(call, ast.Call) and ast.unparse(call.func) == "glue"


def without_plumbing(source):
    """Source without its plumbing, also where that is the whole body of a loop or of an `if`."""
    tree = ast.parse(source)
    lines = source.splitlines()
    for node in ast.walk(tree):
        for statement in getattr(node, "body", []) if not isinstance(node, ast.Lambda | ast.IfExp) else []:
            alone = isinstance(statement, ast.For | ast.If) and all(map(is_plumbing, statement.body))
            if is_plumbing(statement) or alone:
                span = slice(statement.lineno - 1, statement.end_lineno)
                lines[span] = [None] * (statement.end_lineno - statement.lineno + 1)
    return "\n".join(line for line in lines if line is not None).strip("\n")


def narrow(source):
    """Source formatted to COLUMNS; as it is where it fits, or is no whole piece of Python."""
    if all(len(line) <= COLUMNS for line in source.splitlines()):
        return source
    command = [sys.executable, "-m", "ruff", "format", "--isolated", "--line-length", str(COLUMNS), "-"]
    done = subprocess.run(command, input=source, capture_output=True, text=True)
    return done.stdout.rstrip("\n") if done.returncode == 0 and done.stdout else source


def reflow(lines, mark=""):
    """Lines of one paragraph, set anew to COLUMNS where one is longer. mark: what each line begins with, as "# "."""
    indents = {len(line) - len(line.lstrip()) for line in lines}
    if len(indents) > 1 or all(len(line) <= COLUMNS for line in lines):
        return lines
    start = " " * indents.pop() + mark
    words = " ".join(line.strip().removeprefix(mark.strip()).strip() for line in lines)
    return textwrap.wrap(
        words, COLUMNS, initial_indent=start, subsequent_indent=start, break_long_words=False, break_on_hyphens=False
    )


def docstring_lines(tree):
    """The line numbers, from 0, of every docstring."""
    kinds = ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef | ast.Module
    for node in ast.walk(tree):
        if isinstance(node, kinds) and ast.get_docstring(node, clean=False) is not None:
            yield from range(node.body[0].lineno - 1, node.body[0].end_lineno)


def set_texts(source):
    """Source with its docstrings and comment lines set to COLUMNS, paragraph by paragraph."""
    lines, inside = source.splitlines(), set(docstring_lines(ast.parse(source)))

    def kind(i):
        text = lines[i].strip()
        if text.strip("\"'") == "":
            return None
        return "" if i in inside else "# " if text.startswith("# ") else None

    done = []
    for mark, group in groupby(range(len(lines)), key=kind):
        paragraph = [lines[i] for i in group]
        done += paragraph if mark is None else reflow(paragraph, mark)
    return re.sub(r"\n{3,}", "\n\n", "\n".join(done))


def readable(source):
    source = textwrap.dedent(source)  # a method comes with its class's indent
    try:
        return set_texts(narrow(without_plumbing(source) if "glue(" in source else source))
    except SyntaxError:
        return source


class CodeBlocks(SphinxTransform):
    """Applies `readable` to every block of Python outside of the exercises, which show the notebook's own text."""

    default_priority = 870

    def apply(self, **kwargs):
        for block in self.document.findall(nodes.literal_block):
            if block.get("language") not in PYTHON or in_card(block):
                continue
            source = readable(block.astext())
            if source != block.astext():
                block.rawsource = source
                block.children = []
                block += nodes.Text(source)


class ShortTexts(SphinxTransform):
    """Marks what the style treats by its text: short code in a line, and outputs that are sentences, not columns."""

    default_priority = 870

    def apply(self, **kwargs):
        for code in self.document.findall(nodes.literal):
            if len(code.astext()) <= SHORT:
                code["classes"].append("short")
        for block in self.document.findall(nodes.literal_block):
            lines = block.astext().splitlines()
            in_columns = any("  " in line.strip() for line in lines)
            if not in_columns and any(map(is_output, ancestors(block))):
                block["classes"].append("sentences")


class EngineFolds(SphinxTransform):
    """Folds what `literalinclude` brings, where it is long: the page stays short, and its name says what is there."""

    default_priority = 875

    def apply(self, **kwargs):
        for block in list(self.document.findall(nodes.literal_block)):
            path, code = Path(block.get("source") or "."), block.astext()
            lines = code.count("\n") + 1
            if path.suffix != ".py" or lines <= LONG_LINES or in_card(block):
                continue
            name = NAME.search(code)
            words = f"{name[1] if name else path.stem}, {lines} lines of {path.name}"
            fold = element("details", text("summary", words), class_="engine-code")
            block.replace_self(fold)
            fold += block


def in_card(node):
    return any(isinstance(parent, exercise_card) for parent in ancestors(node))


def setup(app):
    app.add_transform(CodeBlocks)
    app.add_transform(ShortTexts)
    app.add_transform(EngineFolds)
