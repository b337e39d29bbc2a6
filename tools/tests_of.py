"""pytest's arguments for `make test ONLY=...`: a test file's stem, a topic, or a folder of the code.

    python tools/tests_of.py quantize | 03_kv_cache | mini_engine | autograder/sandbox

A folder's tests are the test files that import from it and, of the rooms in ROOMS, from none before its own.
"""

import ast
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
ROOMS = ("book", "autograder", "tools", "mini_engine")  # from the outermost: each may import those after it


def imported(path):
    """The modules that a test file imports, and the books and tools that its fixtures bring, as dotted names."""
    names = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            names |= {node.module} | {f"{node.module}.{alias.name}" for alias in node.names}
        elif isinstance(node, ast.FunctionDef):
            names |= {"book" for argument in node.args.args if argument.arg in ("book", "browser")}
    return names


def tests_of_folder(folder):
    """The test files of a folder, as paths from the root."""
    prefix, found = folder.strip("/").replace("/", "."), []
    for path in sorted((ROOT / "tests").glob("test_*.py")):
        names = imported(path)
        rooms = [room for room in ROOMS if any(name.split(".")[0] == room for name in names)]
        inside = any(f"{name}.".startswith(f"{prefix}.") for name in names)
        if inside and rooms[0] == prefix.split(".")[0]:
            found.append(path.relative_to(ROOT).as_posix())
    return found


def arguments(only):
    """What to hand to pytest. Raises SystemExit with what can be said where nothing fits."""
    for stem in (only, f"test_{only}"):
        if (ROOT / "tests" / f"{stem}.py").exists():
            return [f"tests/{stem}.py"]
    if (ROOT / "solutions" / only).is_dir():
        return ["-k", only]
    found = tests_of_folder(only) if (ROOT / only).is_dir() else []
    if not found:
        raise SystemExit(f"ONLY={only}: no test file test_{only}.py, no topic, no folder that tests import")
    return found


if __name__ == "__main__":
    print(*arguments(sys.argv[1]))
