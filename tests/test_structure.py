"""The plan of the house (README, "Where is what"): who may import whom, how long things may be, what a wheel holds."""

import ast
import functools
import json
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
MAX_MODULE_LINES, MAX_FUNCTION_LINES = 250, 40
# what a person reads from top to bottom, and how long that may be
CORE = (
    *("config", "accounting", "speed", "model", "layers", "rope", "kv_cache", "paged_cache", "block_manager"),
    *("prefix_cache", "sequence", "scheduler", "sampler", "speculative", "model_runner", "engine"),
)
MAX_CORE_LINES, MAX_ROOT_LINES, MAX_ROOT_FILES = 2000, 3300, 26
# from the ground up; a module imports from its own layer and from those below
LAYERS = (
    ("config", "speed", "accounting", "device", "plotting"),
    ("files", "weights", "tokenizer"),
    ("rope", "layers", "kv_cache", "block_manager", "paged_cache", "prefix_cache", "sampler", "quant", "cpu", "gpu"),
    ("grammar",),
    ("model",),
    ("beyond",),
    ("sequence", "scheduler", "speculative", "generate", "loading"),
    ("parallel",),
    ("model_runner", "engine", "trace"),
    ("serve",),
    ("bench", "transformer"),
    ("commands",),
    ("fleet",),
    ("__main__",),
)
MAY_IMPORT = {
    "mini_engine": ("mini_engine",),
    "autograder": ("autograder",),
    "book": ("book", "autograder", "mini_engine"),
}
# imports from another room, and of our own code inside a function, each with its reason
OTHER_ROOMS = {
    "autograder.sandbox.places imports mini_engine.files.fetch": "fetch alone knows where the model is",
    "autograder.outside.shaders imports mini_engine.gpu.webgpu.device": "a kernel is graded as the notebook runs it",
}
INSIDE_A_FUNCTION = {
    "book.tools.serve imports book.tools.served_model": "torch and the model, for the reader who asks for them",
    "mini_engine.commands.generate imports mini_engine.gpu.webgpu.decoder": "wgpu, for one device only",
    "mini_engine.commands.generate imports mini_engine.gpu.webgpu.device": "the same",
    "book._ext.live_runner imports mini_engine.plotting": "the page installs the engine after the runner",
    "book._ext.live_runner imports mini_engine.gpu.webgpu.device": "the same",
    "mini_engine.loading imports mini_engine.cpu.choice": "Numba, a heavy package that not every start needs",
}


def source_files(room):
    """The Python files of a room; the audit bank and the attack bank are student code, not ours."""
    files = (ROOT / room).rglob("*.py")
    return [path for path in files if not {"audit", "cases"} & set(path.relative_to(ROOT).parts)]


def module_name(path):
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


@functools.cache
def trees(room):
    """{module: (its tree, the package that its relative imports start from)}."""
    found = {}
    for path in source_files(room):
        name = module_name(path)
        package = name if path.name == "__init__.py" else name.rpartition(".")[0]
        found[name] = ast.parse(path.read_text(encoding="utf-8")), package
    return found


def own_imports(room):
    """(importing module, imported module, whether inside a function) of every import of our own packages."""
    known = {name for each in MAY_IMPORT for name in trees(each)}
    tops = {name.split(".")[0] for name in known} | {"solutions"}
    found = []

    def visit(module, package, node, is_inside):
        for child in ast.iter_child_nodes(node):
            names = []
            if isinstance(child, ast.Import):
                names = [alias.name for alias in child.names]
            elif isinstance(child, ast.ImportFrom):
                above = package.split(".")[: package.count(".") + 2 - child.level] if child.level else []
                source = ".".join([*above, child.module] if child.module else above)
                names = [f"{source}.{a.name}" if f"{source}.{a.name}" in known else source for a in child.names]
            elif isinstance(child, ast.Call) and ast.unparse(child.func).endswith("import_module"):
                names = [child.args[0].value] if isinstance(child.args[0], ast.Constant) else []
            found.extend((module, name, is_inside) for name in names if name.split(".")[0] in tops)
            visit(module, package, child, is_inside or isinstance(child, (ast.FunctionDef, ast.AsyncFunctionDef)))

    for module, (tree, package) in trees(room).items():
        visit(module, package, tree, False)
    return found


def circles(edges):
    """Groups of modules that reach each other: a set of frozensets."""
    graph = {}
    for module, imported in edges:
        graph.setdefault(module, set()).add(imported)

    def reach(start):
        seen, stack = set(), [start]
        while stack:
            for name in graph.get(stack.pop(), set()) - seen:
                seen.add(name)
                stack.append(name)
        return seen

    reached = {module: reach(module) for module in graph}
    return {frozenset(b for b in reached[a] if a in reached.get(b, ())) for a in graph if a in reached[a]}


def layer_of(module):
    part = module.split(".")[1]
    return next(number for number, layer in enumerate(LAYERS) if part in layer)


def test_the_circle_finder_finds_circles():
    edges = [("a", "b"), ("b", "c"), ("c", "a"), ("c", "d"), ("e", "e"), ("d", "f")]
    assert circles(edges) == {frozenset("abc"), frozenset("e")}
    assert circles([("a", "b"), ("a", "c"), ("b", "c")]) == set()


@pytest.mark.parametrize("room", MAY_IMPORT)
def test_no_module_imports_itself_around_a_corner(room):
    edges = [(module, imported) for module, imported, _ in own_imports(room)]
    found = {" - ".join(sorted(circle)) for circle in circles(edges)}
    assert not found, "these modules import each other"


@pytest.mark.parametrize("room", MAY_IMPORT)
def test_imports_stand_at_the_top(room):
    found = {f"{module} imports {imported}" for module, imported, is_inside in own_imports(room) if is_inside}
    assert not found - set(INSIDE_A_FUNCTION)


@pytest.mark.parametrize("room", MAY_IMPORT)
def test_rooms_import_only_what_they_may(room):
    found = {
        f"{module} imports {imported}"
        for module, imported, _ in own_imports(room)
        if imported.split(".")[0] not in MAY_IMPORT[room]
    }
    assert not found - set(OTHER_ROOMS)


def test_the_engine_imports_downwards():
    modules = [module for module in trees("mini_engine") if "." in module]
    placed = [name for layer in LAYERS for name in layer]
    assert {module.split(".")[1] for module in modules} <= set(placed), "a new module needs a layer"
    upward = [
        f"{module} imports {imported}"
        for module, imported, _ in own_imports("mini_engine")
        if "." in imported and layer_of(imported) > layer_of(module)
    ]
    assert not upward


def test_scripts_import_what_is_there():
    """No test runs the recording scripts, so a name that moved away would stay in them."""
    known = {name: tree for room in MAY_IMPORT for name, (tree, _) in trees(room).items()}
    missing = []
    for path in [*(ROOT / "tools").glob("*.py"), *(ROOT / "solutions").glob("*/*.py")]:
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.ImportFrom) and node.module.split(".")[0] in ("mini_engine", "autograder", "book"):
                for alias in node.names:
                    is_module = f"{node.module}.{alias.name}" in known
                    if not is_module and alias.name not in names_in(known.get(node.module)):
                        missing.append(f"{path.name}: {node.module} has no {alias.name}")
    assert not missing


def names_in(tree):
    """What a module's top level binds; a star import counts with what its module binds."""
    found = set()
    for node in tree.body if tree else ():
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
            found.add(node.name)
        elif isinstance(node, (ast.Import, ast.ImportFrom)) and node.names[0].name == "*":
            found |= names_in(trees("mini_engine")[node.module][0])
        elif isinstance(node, (ast.Import, ast.ImportFrom)):
            found |= {alias.asname or alias.name for alias in node.names}
        else:
            found |= {n.id for n in ast.walk(node) if isinstance(n, ast.Name) and isinstance(n.ctx, ast.Store)}
    return found


@pytest.mark.parametrize("room", MAY_IMPORT)
def test_modules_and_functions_are_short(room):
    for path in source_files(room):
        text = path.read_text(encoding="utf-8")
        assert len(text.splitlines()) <= MAX_MODULE_LINES, f"{path} has {len(text.splitlines())} lines"
        for node in ast.walk(ast.parse(text)):
            if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
                num_lines = node.end_lineno - node.lineno + 1
                assert num_lines <= MAX_FUNCTION_LINES, f"{path}: {node.name} has {num_lines} lines"


def test_the_core_can_be_read_from_top_to_bottom():
    lines = {
        path.stem: len(path.read_text(encoding="utf-8").splitlines()) for path in (ROOT / "mini_engine").glob("*.py")
    }
    assert len(lines) <= MAX_ROOT_FILES and sum(lines.values()) <= MAX_ROOT_LINES
    assert sum(lines[name] for name in CORE) <= MAX_CORE_LINES


def test_the_readme_names_every_room():
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    tree = text[text.index("## Where is what") :]
    for house in ("mini_engine", "autograder", "book"):
        rooms = {path.parent.name for path in (ROOT / house).glob("*/__init__.py")}
        missing = {room for room in rooms if f"  {room}/" not in tree}
        assert not missing, f"README has no line for {house}/{missing}"


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    """The wheel that setuptools builds from a copy of the repository, unpacked: (folder, names of its files)."""
    source, target = tmp_path_factory.mktemp("source"), tmp_path_factory.mktemp("wheel")
    tracked = subprocess.run(
        ["git", "ls-files", "-co", "--exclude-standard", "pyproject.toml", "mini_engine", "autograder"],
        cwd=ROOT, capture_output=True, text=True, check=True,
    )  # fmt: skip
    for name in tracked.stdout.splitlines():
        if (ROOT / name).is_file():
            (source / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(ROOT / name, source / name)
    command = [sys.executable, "-m", "pip", "wheel", "--no-deps", "--no-build-isolation", "--no-index", "--quiet"]
    done = subprocess.run([*command, "--wheel-dir", str(target), str(source)], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    (path,) = target.glob("*.whl")
    with zipfile.ZipFile(path) as archive:
        archive.extractall(target / "site")
        return target / "site", set(archive.namelist()), set(tracked.stdout.splitlines())


def test_a_wheel_holds_every_file(wheel):
    _, names, tracked = wheel
    # the bank checks the assignments of a checkout, and a wheel has none
    wanted = {name for name in tracked if not name.startswith("autograder/audit/")} - {"pyproject.toml"}
    assert wanted <= names, "pyproject.toml leaves something out"


IMPORT_ALL = """
import importlib, json, sys
for name in json.load(sys.stdin):
    module = importlib.import_module(name)
    assert module.__file__.startswith(sys.argv[1]), f"{name} comes from {module.__file__}"
"""


def test_every_module_of_a_wheel_can_be_imported(wheel, tmp_path):
    """In a process that does not see this checkout. The grader's nbgrader_config is no module: nbgrader executes it."""
    folder, names, _ = wheel
    files = [name for name in names if name.endswith(".py") and "/cases/" not in name]
    modules = sorted({name.removesuffix(".py").removesuffix("/__init__").replace("/", ".") for name in files})
    modules.remove("autograder.nbgrader_config")
    assert len(modules) > 100 and "mini_engine.quant.modules" in modules
    done = subprocess.run(
        [sys.executable, "-c", IMPORT_ALL, str(folder)],
        input=json.dumps(modules), cwd=tmp_path, env={"PYTHONPATH": str(folder), "PATH": "/usr/bin:/bin"},
        capture_output=True, text=True,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
