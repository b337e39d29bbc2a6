"""The cells of an assignment script (percent format), as text."""

import ast
import re
from dataclasses import dataclass, field

# What a header may hold, by kind of cell: the keys it needs beside the one that names the kind.
KINDS = {
    "setup": set(),
    "task": {"stars", "minutes"},
    "solution": set(),
    "tryit": set(),
    "test": {"points"},
    "hidden": {"points"},
    "answer": {"points"},
}
IS_MARKDOWN = {"task", "answer"}
PARTS = ("task", "solution", "tryit", "test", "hidden")  # of an exercise, in this order
PAIR = re.compile(r'(\w+)=("[^"]*"|[^\s"]+)')


@dataclass
class Cell:
    """One cell of a script: `kind` is a key of KINDS, "markdown" or "code"; `line` is where its header stands."""

    kind: str
    line: int
    name: str = ""
    options: dict = field(default_factory=dict)
    source: str = ""

    @property
    def is_markdown(self):
        return self.kind in IS_MARKDOWN or self.kind == "markdown"

    @property
    def grade_id(self):
        """nbgrader's name for the cell, or "" where nbgrader does not look at it."""
        if self.kind == "solution":
            return self.name
        if self.kind == "setup":
            return "setup"
        return f"{self.kind}_{self.name}" if self.kind in KINDS and self.kind != "tryit" else ""


def split_cells(text):
    """(cells, faults) of a script's text; faults are (line, reason)."""
    cells, faults, body = [], [], []
    lines = text.split("\n")
    for number, line in enumerate(lines, 1):
        if not line.startswith("# %%"):
            body.append(line)
            continue
        if cells:
            cells[-1].source = cell_source(cells[-1], body, faults)
        body = []
        cells.append(read_header(line, number, faults))
    if cells:
        cells[-1].source = cell_source(cells[-1], body, faults)
    else:
        faults.append((1, "no cell: a cell starts with a line `# %%`"))
    return cells, faults


def read_header(line, number, faults):
    """The empty cell that a `# %%` line announces."""
    rest = line[len("# %%") :].strip()
    markdown = rest.startswith("[markdown]")
    rest = rest.removeprefix("[markdown]").strip()
    pairs = dict(PAIR.findall(rest))
    if PAIR.sub("", rest).strip():
        faults.append((number, f"cannot read the header `{line}`"))
    kinds = [key for key in pairs if key in KINDS]
    if not kinds:
        faults += [(number, f"unknown header key `{key}`; known: {', '.join(KINDS)}") for key in pairs]
        return Cell("markdown" if markdown else "code", number)
    kind = kinds[0]
    cell = Cell(kind, number, pairs.pop(kind).strip('"'))
    for key, value in pairs.items():
        if key not in KINDS[kind]:
            faults.append((number, f"unknown header key `{key}` in a {kind} cell"))
        elif not value.isdigit() or not int(value):
            faults.append((number, f"`{key}` must be a whole number above 0, got {value}"))
        else:
            cell.options[key] = int(value)
    faults += [(number, f"a {kind} cell needs `{key}=`") for key in sorted(KINDS[kind] - set(pairs))]
    if markdown != (kind in IS_MARKDOWN):
        faults.append((number, f"a {kind} cell is {'' if kind in IS_MARKDOWN else 'not '}[markdown]"))
    if not re.fullmatch(r"\w+", cell.name):
        faults.append((number, f"`{cell.name}` cannot be a name"))
    return cell


def cell_source(cell, body, faults):
    """The text of a cell: blank lines at the ends dropped, the comment marks of Markdown taken off."""
    if not cell.is_markdown:
        return "\n".join(body).strip("\n")
    for offset, line in enumerate(body, 1):
        if line and line != "#" and not line.startswith("# "):
            faults.append((cell.line + offset, "a line of a [markdown] cell must start with `# `"))
    return "\n".join(line[2:] for line in body).strip("\n")


def starter_of(source):
    """What a student gets: every solution region replaced by `raise NotImplementedError`."""
    return re.sub(
        r"^( *)### BEGIN SOLUTION\n.*?^ *### END SOLUTION",
        r"\1raise NotImplementedError",
        source,
        flags=re.M | re.S,
    )


def names_given(source):
    """What a solution cell defines: its functions and classes. A cell may hold several that belong together."""
    try:
        body = ast.parse(starter_of(source)).body
    except SyntaxError:
        return []
    return [node.name for node in body if isinstance(node, ast.FunctionDef | ast.ClassDef)]
