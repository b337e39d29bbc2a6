"""Small wrong changes to a reference answer: if the tests accept one, a test is missing. The changes: operators.py."""

import ast
import difflib
from dataclasses import dataclass

from .operators import LEFT_ALONE, OPERATORS
from .shader_operators import is_shader


@dataclass(frozen=True)
class Mutant:
    """One changed answer. `change` is "old text => new text" of the lines that differ, as in equivalent.txt."""

    label: str
    change: str
    source: str


def mutants(source):
    """Every mutant of a solution cell's text, each once, in the order of its lines.

    Signatures, docstrings, the text of error messages and tolerances are left alone.
    """
    tree = ast.parse(source)
    reference = ast.unparse(tree)
    seen, found = {reference}, []
    for path, node in mutable_nodes(tree):
        if path[-1][0] == "iter" and isinstance(node, ast.Tuple):
            continue  # the order in which values are checked is nobody's mistake
        for label, replacement in replacements(node):
            put(tree, path, ast.fix_missing_locations(ast.copy_location(replacement, node)))
            try:
                text = ast.unparse(tree)
                if text not in seen:
                    compile(text, "<mutant>", "exec")
                    seen.add(text)
                    texts = (reference, text)
                    if is_shader(getattr(node, "value", None)) and isinstance(replacement, ast.Constant):
                        texts = (node.value, replacement.value)  # else a change would show the whole kernel
                    found.append((node.lineno, Mutant(label, change_text(*texts), text)))
            except (SyntaxError, ValueError, TypeError, AttributeError):
                continue
            finally:
                put(tree, path, node)
    return [mutant for _, mutant in sorted(found, key=lambda pair: pair[0])]


def mutable_nodes(tree):
    """(path, node) of everything that may be changed; a path is a list of (field, index or None)."""
    found, stack = [], [([], tree)]
    while stack:
        path, node = stack.pop()
        if path and hasattr(node, "lineno"):
            found.append((path, node))
        for field, value in ast.iter_fields(node):
            if field in ("args", "returns", "decorator_list") and isinstance(node, ast.FunctionDef):
                continue
            if field in ("exc", "cause") and isinstance(node, ast.Raise) or field == "msg":
                continue
            if isinstance(node, ast.JoinedStr | ast.arguments | ast.Import | ast.ImportFrom):
                continue
            if isinstance(node, ast.keyword) and node.arg in LEFT_ALONE:
                continue
            if isinstance(value, ast.AST):
                stack.append(([*path, (field, None)], value))
            elif isinstance(value, list):
                stack += [([*path, (field, i)], item) for i, item in enumerate(value) if isinstance(item, ast.AST)]
    return found


def put(tree, path, replacement):
    """Puts a node at a path of the tree."""
    node = tree
    for field, index in path[:-1]:
        node = getattr(node, field) if index is None else getattr(node, field)[index]
    field, index = path[-1]
    if index is None:
        setattr(node, field, replacement)
    else:
        getattr(node, field)[index] = replacement


def change_text(before, after):
    """The lines that differ, as "old => new"; several lines are joined by "; "."""
    old, new = [], []
    for line in difflib.ndiff(before.split("\n"), after.split("\n")):
        if line.startswith("- "):
            old.append(line[2:].strip())
        elif line.startswith("+ "):
            new.append(line[2:].strip())
    return f"{'; '.join(old)} => {'; '.join(new)}"


def replacements(node):
    """(label, new node) for one node; new nodes are copies."""
    for kind, operator in OPERATORS:
        if isinstance(node, kind):
            yield from operator(node)
