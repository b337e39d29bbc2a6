"""What the live exercises of the pages need beside the page: per assignment a JSON file and the released notebook, and
one zip with mini_engine and the runner. Written into _static/live/ of the built book.

Hidden tests are read to count their checks, and nothing else of them leaves this file.
"""

import ast
import json
import re
import shutil
import zipfile
from functools import cache
from pathlib import Path

from sphinx.util import logging

from autograder.assignment.cells import names_given
from autograder.assignment.notebooks import bare
from autograder.assignment.seen import names_seen
from book._ext.assignment import MARKS, grade_id, load_cells
from book.tools import vendor

logger = logging.getLogger(__name__)
NOT_IN_THE_PAGE = {"torch", "tokenizers", "transformers", "triton", "fastapi", "uvicorn", "pydantic", "httpx", "openai"}
NUMPY_TOPICS = {*range(1, 12), 15, 16, 17, 18}  # 14 has kernels for the page beside what needs torch


def imports(tree):
    """{name bound: module} of every import in a tree."""
    found = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            found.update({(alias.asname or alias.name).partition(".")[0]: alias.name for alias in node.names})
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            found.update({alias.asname or alias.name: node.module for alias in node.names})
    return found


def needs_torch(module, root, seen=None):
    """True when a module, or a module of mini_engine that it imports, cannot be had in the page."""
    if module.partition(".")[0] in NOT_IN_THE_PAGE:
        return True
    path = Path(root) / f"{module.replace('.', '/')}.py"
    seen = set() if seen is None else seen
    if not module.startswith("mini_engine.") or module in seen or not path.is_file():
        return False
    seen.add(module)
    for node in ast.parse(path.read_text(encoding="utf-8")).body:
        if isinstance(node, ast.Import):
            wanted = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            here = module.split(".")[: -node.level] if node.level else []
            wanted = [".".join([*here, *filter(None, [node.module])])]
        else:
            continue
        # loading weights names tokenizers and tqdm only to fetch them, which no exercise of the page does
        if any(needs_torch(name, root, seen) for name in wanted if name):
            return True
    return False


def runs_in_page(root, setup, solution, test):
    """True when NumPy carries an exercise: neither its answer nor its visible test needs torch or the like.

    setup: sources of the set-up cells, whose names count only where the exercise uses them.
    """
    heavy = set()
    for source in setup:
        tree = ast.parse(source)
        heavy |= {name for name, module in imports(tree).items() if needs_torch(module, root)}
    for source in (solution, test):
        tree = ast.parse(source)
        if any(needs_torch(module, root) for module in imports(tree).values()):
            return False
        if heavy & {node.id for node in ast.walk(tree) if isinstance(node, ast.Name)}:
            return False
    return True


def count_checks(source):
    """How many checks a test cell holds: its asserts, raised AssertionErrors and calls into np.testing."""
    checks = 0
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Assert):
            checks += 1
        elif isinstance(node, ast.Raise) and "AssertionError" in ast.dump(node):
            checks += 1
        elif isinstance(node, ast.Call) and ast.unparse(node.func).startswith("np.testing."):
            checks += 1
    return checks


def points(cell):
    return cell.metadata["nbgrader"].get("points", 0) if cell else 0


def topic_data(root, assignment, with_solutions=True):
    """What the page needs to run the exercises of an assignment.

    Returns {"setup": [source], "exercises": [{name, live, test, tryit, sees, hidden_checks, points, hidden_points,
    solution}]}, in the order of the notebook; `solution` is absent in a student edition.
    """
    cells = load_cells(root, assignment)
    named = {grade_id(cell) or cell.get("id"): cell for cell in cells}
    setup = [cell.source for cell in cells if re.fullmatch(r"setup(_\d+)?", grade_id(cell) or "")]
    answers = [c for c in cells if c.cell_type == "code" and c.metadata.get("nbgrader", {}).get("solution")]
    given = {grade_id(cell): names_given(cell.source) for cell in answers}
    exercises = []
    for cell in answers:
        name = grade_id(cell)
        test, hidden, tryit = (named.get(f"{kind}_{name}") for kind in ("test", "hidden", "tryit"))
        solution = MARKS.sub("", cell.source)
        entry = {
            "name": name,
            "live": test is not None
            and (in_range(assignment) or "run_kernel(" in test.source)  # a kernel runs in the browser's WebGPU
            and runs_in_page(root, setup, solution, test.source),
            "test": bare(test.source) if test else "",
            "tryit": tryit.source if tryit else "",
            "sees": names_seen(name, named[f"task_{name}"].source, given),
            "hidden_checks": count_checks(hidden.source) if hidden else 0,
            "points": points(test) + points(hidden),
            "hidden_points": points(hidden),
        }
        exercises.append({**entry, "solution": solution} if with_solutions else entry)
    return {"setup": setup, "exercises": exercises}


@cache
def read_topic_data(root, assignment, _changed):
    return topic_data(root, assignment)


def cached_topic_data(root, assignment):
    """topic_data, read again only when the notebook has changed."""
    path = Path(root) / "solutions" / assignment / f"{assignment}.ipynb"
    return read_topic_data(root, assignment, path.stat().st_mtime_ns)


def in_range(assignment):
    return assignment[:2].isdigit() and int(assignment[:2]) in NUMPY_TOPICS


def write_course_zip(root, path):
    """mini_engine and the runner, for Python in the page. The same sources give the same bytes."""
    engine = Path(root) / "mini_engine"
    files = {f"mini_engine/{file.relative_to(engine).as_posix()}": file for file in engine.rglob("*.py")}
    files |= {f"mini_engine/data/{file.name}": file for file in (engine / "data").iterdir() if file.suffix != ".md"}
    files["live_runner.py"] = Path(__file__).with_name("live_runner.py")
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name in sorted(files):
            archive.writestr(zipfile.ZipInfo(name), files[name].read_bytes(), zipfile.ZIP_DEFLATED)


def write_live(app, error):
    """Write _static/live/ of the built book."""
    if error or app.builder.format != "html":
        return
    root, folder = Path(app.confdir), Path(app.outdir) / "_static" / "live"
    folder.mkdir(parents=True, exist_ok=True)
    for source in sorted((root / "solutions").glob("*/*.ipynb")):
        topic = topic_data(root, source.stem, app.config.exercise_solutions)
        (folder / f"{source.stem}.json").write_text(json.dumps(topic, sort_keys=True), encoding="utf-8")
        released = root / "notebooks" / source.stem / source.name
        if released.is_file():
            shutil.copyfile(released, folder / source.name)
    if (root / "mini_engine").is_dir():
        write_course_zip(root, folder / "course.zip")


def announce(app):
    if vendor.python_is_present():
        logger.info("live exercises: the book serves Python itself (Pyodide %s)", vendor.PYODIDE_VERSION)
    else:
        logger.info("live exercises: Python is not in book/_static/vendor and will come from a public address")
        logger.info("  %s; to serve it from the book, run: python -m book.tools.vendor", vendor.PYODIDE_ADDRESS)


def setup(app):
    app.connect("builder-inited", announce)
    app.connect("build-finished", write_live)
