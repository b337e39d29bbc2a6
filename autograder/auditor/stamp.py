"""What an exercise's verdicts depend on, as a checksum: where it is that of the saved audit, they cannot be others.

It covers the assignment, the exercise's bank, the modules of ours that either imports, the auditor itself with what it
imports, the worker that runs kernels where the tests have some, the pinned packages and the version of Python.
"""

import ast
import functools
import hashlib
import sys
from pathlib import Path

from autograder.outside import devices, shader_server

from .candidates import ROOT

AUDITOR = Path(__file__).with_name("audit.py")


def stamps(name, exercises, root=ROOT):
    """{exercise: checksum of everything that its audit reads}; what the exercises share is read once."""
    read = functools.cache(Path.read_bytes)
    folder = root / "solutions" / name
    own = [path for path in sorted(folder.rglob("*")) if path.is_file() and path.suffix not in (".ipynb", ".pyc")]
    worker = [Path(shader_server.__file__)] if devices.is_needed(name) else []
    shared, found = reached([AUDITOR, *worker, *own]) | {*worker, ROOT / "constraints.txt"}, {}
    for exercise in exercises:
        bank = root / "autograder" / "audit" / name / f"{exercise}.txt"
        digest = hashlib.sha256(repr((*sys.version_info[:2], exercise)).encode())
        for path in (*own, *([bank] if bank.exists() else []), *sorted(shared | reached([bank]))):
            digest.update(read(path))
        found[exercise] = digest.hexdigest()[:16]
    return found


def reached(paths):
    """The files of our own modules that some files import, and those that these import, and so on; .py ones only."""
    found, stack = set(), [path for path in paths if path.suffix in (".py", ".txt") and path.exists()]
    while stack:
        for path in imported(stack.pop()) - found:
            found.add(path)
            stack += [path] if path.suffix == ".py" else []
    return found


@functools.cache
def imported(path):
    """The files of our own modules that one file imports; data beside a module counts as part of its package.

    A bank is no Python as a whole, and not every answer in it is: its import lines are read one by one.
    """
    text = path.read_text(encoding="utf-8")
    lines = [line.strip() for line in text.split("\n") if line.strip().startswith(("import ", "from "))]
    found = set()
    for tree in [parsed(text)] if path.suffix == ".py" else map(parsed, lines):
        for node in ast.walk(tree):
            if isinstance(node, ast.Import):
                found |= {alias.name for alias in node.names}
            elif isinstance(node, ast.ImportFrom):
                above = path.relative_to(ROOT).parts[: -node.level] if node.level else ()
                base = ".".join([*above, *([node.module] if node.module else [])])
                found |= {base} | {f"{base}.{alias.name}" for alias in node.names}
    return {place for name in found for place in files_of(name)}


def parsed(text):
    """The text's tree, an empty one where it is no Python."""
    try:
        return ast.parse(text)
    except SyntaxError:
        return ast.Module([], [])


def files_of(name):
    """The files that importing a dotted name runs or may read: the module, its packages, and data beside them."""
    parts, found = name.split("."), set()
    if parts[0] not in ("mini_engine", "autograder"):
        return found
    for end in range(1, len(parts) + 1):
        place = ROOT.joinpath(*parts[:end])
        if place.with_suffix(".py").exists():
            found.add(place.with_suffix(".py"))
        elif (place / "__init__.py").exists():
            found |= {path for path in place.iterdir() if path.name == "__init__.py" or path.suffix == ".wgsl"}
            found |= {path for path in place.glob("data/*") if path.is_file()}
    return found
