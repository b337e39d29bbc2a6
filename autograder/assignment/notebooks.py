"""Makes both notebooks of an assignment from its script.

    python -m autograder notebooks [--check] [NN_topic ...]

solutions/NN_topic/NN_topic.py -> solutions/NN_topic/NN_topic.ipynb (nbgrader source) and notebooks/NN_topic/ (what
`nbgrader generate_assignment` releases: nbgrader's own steps make it, all but the one that fills the gradebook).
"""

import re
import sys
from pathlib import Path

import nbformat
import yaml
from nbconvert.exporters import NotebookExporter
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook
from nbgrader.converters import GenerateAssignment
from nbgrader.preprocessors import SaveCells
from nbgrader.utils import find_all_files
from traitlets.config.loader import PyFileConfigLoader

from autograder.assignment.cells import split_cells
from autograder.assignment.narrow import narrow
from autograder.assignment.script import ScriptError, read_script

ROOT = Path(__file__).resolve().parents[2]
KERNELSPEC = {"display_name": "Python 3", "language": "python", "name": "python3"}
# first lines, which JupyterLab shows of a folded cell; a click would unfold it
FIRST_SETUP = "Set-up: run this cell first (Shift+Enter)."
LATER_SETUP = "More set-up, for the cells below: run this cell, too (Shift+Enter)."
TEST = "Visible checks of {name}, {share}: Shift+Enter runs them."
HIDDEN = "Hidden checks of {name}, {share}: they run at grading."
PASSED = 'print("Passed: the visible checks of {name}, {share}.")'  # reached when nothing was wrong
GIVEN = "*{points}, graded by a person*\n\n"  # above a written answer
ADDED = re.compile(
    r'\A# (?:Visible|Hidden) checks of .*\n|\nprint\("Passed: .*"\)\Z|^\*\d+ points?, graded by a person\*\n\n', re.M
)
FOLDED = ("setup", "test")
INSTALL = """\
# On a hosted notebook (Colab): installs the course. Where it is there already, nothing is done.
import importlib.util
import subprocess
import sys

if importlib.util.find_spec("mini_engine") is None:
    course = (
        "llm-inference-course[notebook]"
        " @ git+{address}"
    )
    subprocess.run([sys.executable, "-m", "pip", "install", "--quiet", course], check=True)
    importlib.invalidate_caches()"""


def published_at(root=ROOT):
    """The public repository that _config.yml names as `course_repository`; "" where it names none."""
    path = root / "_config.yml"
    settings = yaml.safe_load(path.read_text(encoding="utf-8")) if path.exists() else {}
    return settings.get("sphinx", {}).get("config", {}).get("course_repository", "").rstrip("/")


def course_config():
    """The course's nbgrader configuration (autograder/nbgrader_config.py)."""
    return PyFileConfigLoader("nbgrader_config.py", str(ROOT / "autograder")).load_config()


def source_notebook(cells, address=""):
    """The nbgrader source notebook of a script's cells; with an address, its first code cell installs the course."""
    points = {}
    for cell in cells:
        if cell.kind in ("test", "hidden"):
            points[cell.name] = points.get(cell.name, 0) + cell.options["points"]
    built, setups = [], 0
    for index, cell in enumerate(cells):
        metadata, text = nbgrader_metadata(cell), cell.source
        if cell.kind == "task":
            metadata["course"] = {**cell.options, "points": points[cell.name]}
            text = with_effort(text, **metadata["course"])
        if cell.kind in ("test", "hidden"):
            text = with_share(cell, points[cell.name])
        if cell.kind == "answer":
            line = GIVEN.format(points=plural(cell.options["points"], "point"))
            text = text.replace("### BEGIN SOLUTION", f"{line}### BEGIN SOLUTION")
        if cell.kind in FOLDED:
            metadata["jupyter"] = {"source_hidden": True}
        if cell.kind == "setup":
            if address and not setups:
                built.append(new_code_cell(INSTALL.format(address=address), id="install"))
            setups += 1
            metadata["nbgrader"]["grade_id"] = "setup" if setups == 1 else f"setup_{setups}"
            text = f"# {FIRST_SETUP if setups == 1 else LATER_SETUP}\n{text}"
        grade_id = metadata.get("nbgrader", {}).get("grade_id")
        name = grade_id or (f"tryit_{cell.name}" if cell.kind == "tryit" else f"cell-{index:02d}")
        make = new_markdown_cell if cell.is_markdown else new_code_cell
        built.append(make(text, id=name, metadata=metadata))
    notebook = new_notebook(cells=built, metadata={"kernelspec": KERNELSPEC})
    notebook.nbformat_minor = 5
    nbformat.validate(notebook)
    return notebook


def nbgrader_metadata(cell):
    """nbgrader's metadata for a cell of the script; empty for plain and try-it cells."""
    if not cell.grade_id:
        return {}
    metadata = {
        "cell_type": "markdown" if cell.is_markdown else "code",
        "grade": cell.kind in ("test", "hidden", "answer"),
        "grade_id": cell.grade_id,
        "locked": cell.kind in ("setup", "task", "test", "hidden"),
        "schema_version": 3,
        "solution": cell.kind in ("solution", "answer"),
        "task": False,
    }
    if metadata["grade"]:
        metadata["points"] = cell.options["points"]
    return {"nbgrader": metadata}


def effort_line(stars, minutes, points):
    """The line under a lead-in's heading: "★★ · 15 minutes · 3 points"."""
    return f"{'★' * stars} · {plural(minutes, 'minute')} · {plural(points, 'point')}"


def plural(count, word):
    return f"{count} {word}{'s' * (count > 1)}"


def with_effort(text, **effort):
    """A lead-in with the line under its heading."""
    heading, _, rest = text.partition("\n")
    return f"{heading}\n\n{effort_line(**effort)}\n\n{rest.lstrip()}"


def with_share(cell, total):
    """A check's text with a first line that names the exercise and the points; total: those of the whole exercise."""
    words = {"name": cell.name, "share": f"{cell.options['points']} of {plural(total, 'point')}"}
    if cell.kind == "test":
        return f"# {TEST.format(**words)}\n{cell.source}\n{PASSED.format(**words)}"
    return f"# {HIDDEN.format(**words)}\n### BEGIN HIDDEN TESTS\n{cell.source}\n### END HIDDEN TESTS"


def bare(text):
    """A cell's text without the lines with its points: for pages, and to see whether the rest is what it was."""
    return ADDED.sub("", text)


def release_text(notebook, config):
    """The released notebook, by nbgrader's own preprocessors in their order."""
    exporter = NotebookExporter(config=config)
    exporter._preprocessors = []  # nbgrader also runs without nbconvert's defaults
    for step in GenerateAssignment(config=config).preprocessors:
        if step is not SaveCells:
            exporter.register_preprocessor(step, enabled=True)
    text, _ = exporter.from_notebook_node(nbformat.from_dict(notebook), resources={"unique_key": "notebook"})
    return text if text.endswith("\n") else text + "\n"


def build(script, release_root, config, address=None):
    """{path: bytes} of everything that the script at `script` makes; raises ScriptError where it is malformed.

    address: the public repository, "" for none; by default as _config.yml says.
    """
    script = Path(script)
    read_script(script)  # its faults are named with the script's own lines
    cells, _ = split_cells(narrow(script.read_text(encoding="utf-8")))
    notebook = source_notebook(cells, published_at() if address is None else address)
    release = Path(release_root) / script.stem
    made = {
        script.with_suffix(".ipynb"): (nbformat.writes(notebook) + "\n").encode(),
        release / f"{script.stem}.ipynb": release_text(notebook, config).encode(),
    }
    # data files beside the script go out with the notebook, as generate_assignment does it
    for path in find_all_files(str(script.parent), [*config.CourseDirectory.ignore, "*.ipynb"]):
        made[release / Path(path).relative_to(script.parent)] = Path(path).read_bytes()
    return made


def add_arguments(parser):
    parser.add_argument("topics", nargs="*", metavar="NN_topic", help="all by default")
    parser.add_argument("--check", action="store_true", help="write nothing; name the script of a stale notebook")


def run(options):
    """Exit code: 1 for a malformed script, an unknown topic or (--check) a stale notebook."""
    scripts = [ROOT / "solutions" / topic / f"{topic}.py" for topic in options.topics]
    scripts = scripts or sorted((ROOT / "solutions").glob("*/*.py"))
    config, status = course_config(), 0
    for script in scripts:
        if not script.exists():
            print(f"no assignment {script.stem}: there is no {script.relative_to(ROOT)}", file=sys.stderr)
            status = 1
            continue
        try:
            made = build(script, ROOT / "notebooks", config)
        except ScriptError as error:
            print(error, file=sys.stderr)
            status = 1
            continue
        stale = [path for path, content in made.items() if not path.exists() or path.read_bytes() != content]
        for path in stale:
            name = path.relative_to(ROOT)
            if options.check:
                print(f"{name} is stale: edit {script.relative_to(ROOT)}, then run `make notebooks`", file=sys.stderr)
                status = 1
            else:
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_bytes(made[path])
                print(name)
    return status
