"""Reads an assignment script and checks it against the rules of CONTRIBUTING.md."""

import ast
import builtins
import re
import symtable
from pathlib import Path

from autograder.assignment.cells import PARTS, names_given, split_cells, starter_of
from autograder.assignment.seen import names_seen

MODULE_NAMES = {"__name__", "__file__", "__doc__"} | set(dir(builtins))


class ScriptError(ValueError):
    """The script breaks the format; the text holds one `file:line: reason` per line."""


def read_script(path):
    """The cells of the script at `path`. Raises ScriptError with every fault found, each as file:line."""
    path = Path(path)
    cells, faults = split_cells(path.read_text(encoding="utf-8"))
    faults = faults or check_cells(cells)
    if faults:
        raise ScriptError("\n".join(f"{path}:{line}: {reason}" for line, reason in sorted(faults)))
    return cells


def check_cells(cells):
    """Every breach of the rules of CONTRIBUTING.md, as (line, reason)."""
    faults, seen = [], {}
    for cell in cells:
        if not cell.is_markdown:
            try:
                ast.parse(cell.source)
            except SyntaxError as error:
                faults.append((cell.line + (error.lineno or 0), f"not Python: {error.msg}"))
        if cell.grade_id and cell.kind != "setup":
            if cell.grade_id in seen:
                faults.append((cell.line, f"`{cell.grade_id}` stands twice, first in line {seen[cell.grade_id]}"))
            seen.setdefault(cell.grade_id, cell.line)
    if faults:
        return faults
    exercises = group_exercises(cells, faults)
    allowed = {name for cell in cells if cell.kind == "setup" for name in setup_names(cell.source)}
    given = {}
    for name, parts in exercises.items():
        given[name] = names_given(parts["solution"].source) if "solution" in parts else [name]
        if set(parts) == set(PARTS):
            faults += check_exercise(name, parts, allowed, given)
    for cell in cells:
        marks = [cell.source.count(f"### {word} SOLUTION") for word in ("BEGIN", "END")]
        if cell.kind == "answer" and marks != [1, 1]:
            faults.append((cell.line, "a written answer needs one ### BEGIN SOLUTION … ### END SOLUTION region"))
    return faults


def group_exercises(cells, faults):
    """{name: {part: cell}} in the order of the script; parts missing, out of order or torn apart are faults."""
    exercises, last = {}, None
    for cell in cells:
        if cell.kind not in PARTS:
            continue
        parts = exercises.setdefault(cell.name, {})
        if parts and last != cell.name:
            faults.append((cell.line, f"cells of `{cell.name}` stand apart: `{last}` is between them"))
        if parts and PARTS.index(cell.kind) < max(PARTS.index(kind) for kind in parts):
            faults.append((cell.line, f"the {cell.kind} cell of `{cell.name}` comes too late: {', '.join(PARTS)}"))
        parts[cell.kind] = cell
        last = cell.name
    for name, parts in exercises.items():
        line = next(iter(parts.values())).line
        faults += [(line, f"`{name}` has no {part} cell") for part in PARTS if part not in parts]
    return exercises


def check_exercise(name, parts, allowed, given):
    """Breaches of the rules within one complete exercise."""
    faults = []
    task, solution = parts["task"], parts["solution"]
    if not re.match(r"##+ \S", task.source):
        faults.append((task.line + 1, f"the lead-in of `{name}` must start with a heading `## n. Title`"))
    for hint in ("Hint 1", "Hint 2"):
        if f"<summary>{hint}</summary>" not in task.source:
            faults.append((task.line, f"the lead-in of `{name}` has no <details><summary>{hint}</summary>"))
    if task.options["stars"] > 4:
        faults.append((task.line, f"stars go from 1 to 4, got {task.options['stars']}"))
    if parts["hidden"].options["points"] < parts["test"].options["points"]:
        faults.append((parts["hidden"].line, f"hidden tests of `{name}` must be worth at least the visible ones"))
    faults += check_starter(name, solution)
    seen = {*names_seen(name, task.source, given), *allowed}
    for kind in ("test", "hidden"):
        faults += check_test(parts[kind], f"{kind}_{name}", seen)
    return faults


def check_starter(name, cell):
    """The solution cell: a documented def or class `name` that stays whole when its region is cleared."""
    begins, ends = (re.findall(rf"^ *### {word} SOLUTION$", cell.source, re.M) for word in ("BEGIN", "END"))
    if not begins or len(begins) != len(ends):
        return [(cell.line, f"`{name}` needs a region ### BEGIN SOLUTION … ### END SOLUTION")]
    starter = starter_of(cell.source)
    try:
        tree = ast.parse(starter)
    except SyntaxError as error:
        return [(cell.line, f"without its solution `{name}` is not Python: {error.msg}")]
    defined = [node for node in tree.body if isinstance(node, ast.FunctionDef | ast.ClassDef)]
    if name not in [node.name for node in defined]:
        return [(cell.line, f"the solution cell does not define `{name}` outside of its solution region")]
    bare = [node.name for node in defined if not ast.get_docstring(node)]
    return [(cell.line, f"`{other}` needs a docstring outside of its solution region") for other in bare]


def check_test(cell, function, allowed):
    """A test cell: one function without arguments, called last, whose only outside names are `allowed`."""
    body = ast.parse(cell.source).body
    shape = (
        len(body) == 2
        and isinstance(body[0], ast.FunctionDef)
        and body[0].name == function
        and not body[0].decorator_list
        and not any(ast.iter_child_nodes(body[0].args))
        and ast.unparse(body[1]) == f"{function}()"
    )
    if not shape:
        return [(cell.line, f"must be `def {function}():` without arguments, then its call `{function}()`")]
    faults = []
    for node in ast.walk(body[0]):
        if isinstance(node, ast.Assert) and node.msg is None:
            faults.append((cell.line + node.lineno, f"`assert {ast.unparse(node.test)}` has no message"))
        if isinstance(node, ast.Global):
            faults.append((cell.line + node.lineno, "a test defines nothing at module level: no `global`"))
    for name in sorted(global_names(cell.source) - allowed - MODULE_NAMES - {function}):
        faults.append((cell.line, f"{function} uses `{name}` from outside: import or define it inside the test"))
    return faults


def global_names(source):
    """Names that code looks up at module level from inside its functions."""
    found, tables = set(), [symtable.symtable(source, "<cell>", "exec")]
    while tables:
        table = tables.pop()
        tables += table.get_children()
        if table.get_type() != "module":
            found |= {symbol.get_name() for symbol in table.get_symbols() if symbol.is_global()}
    return found


def setup_names(source):
    """Names that a set-up cell defines, those of its imports left out: a test makes its own imports."""
    symbols = symtable.symtable(source, "<cell>", "exec").get_symbols()
    return {s.get_name() for s in symbols if (s.is_assigned() or s.is_namespace()) and not s.is_imported()}
