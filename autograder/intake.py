"""Whatever a student hands in becomes the released notebook with only that student's own cells grafted in.

Nothing here executes what arrived. Locked cells, tags, metadata, outputs and the order of cells are the release's; the
student supplies the text of solution cells and free cells. What cannot be read is graded as empty, with a note.
"""

import copy
import json
import os
import shutil
import stat
import tempfile
import time
from pathlib import Path

import nbformat
from nbconvert.exporters import NotebookExporter
from nbconvert.exporters.exporter import ResourcesDict
from nbformat.v4 import new_code_cell, new_markdown_cell
from nbgrader import utils
from nbgrader.api import Gradebook, MissingEntry
from nbgrader.converters import Autograde, GenerateAssignment
from nbgrader.converters.base import NbGraderException
from nbgrader.coursedir import CourseDirectory

MAX_FILE_BYTES = 256 << 20
MAX_DATA_BYTES = 50 << 20
MAX_CELLS = 400
MAX_SOURCE_CHARS = 200_000
PROBLEM_KEY = "course_intake_problem"
NOTES_HEADING = "**Notes on what was handed in**"


def read_cells(path):
    """(cells, problem) of a file that claims to be a notebook; never raises.

    Cells are (type, source, grade_id or None, id or None). problem is "" or what kept the file from being read.
    """
    try:
        status = os.lstat(path)
        if not stat.S_ISREG(status.st_mode):
            return [], "it is not a regular file"
        if status.st_size > MAX_FILE_BYTES:
            return [], f"it is too big, {status.st_size} bytes"
        if not status.st_size:
            return [], "the file is empty"
        raw = json.loads(Path(path).read_bytes().decode("utf-8", "replace"))
        if not isinstance(raw, dict):
            return [], "it is not a notebook"
        if PROBLEM_KEY in raw:
            return [], text_of(raw[PROBLEM_KEY])[:200]
        cells = raw.get("cells")
        if cells is None and isinstance(raw.get("worksheets"), list):  # nbformat 3
            sheets = [sheet for sheet in raw["worksheets"] if isinstance(sheet, dict)]
            cells = [cell for sheet in sheets for cell in sheet.get("cells") or []]
        if not isinstance(cells, list):
            return [], "it holds no cells"
        return [read_cell(cell) for cell in cells[:MAX_CELLS] if isinstance(cell, dict)], ""
    except (ValueError, TypeError, RecursionError, MemoryError, OSError) as error:
        return [], "it is not JSON" if isinstance(error, ValueError) else type(error).__name__


def read_cell(cell):
    metadata = cell.get("metadata")
    marks = metadata.get("nbgrader") if isinstance(metadata, dict) else None
    grade_id = marks.get("grade_id") if isinstance(marks, dict) else None
    names = [name if isinstance(name, str) else None for name in (grade_id, cell.get("id"))]
    return cell.get("cell_type"), text_of(cell.get("source", cell.get("input", ""))), *names


def text_of(source):
    """A cell's source as text, whatever it was."""
    if isinstance(source, list):
        source = "".join(part for part in source if isinstance(part, str))
    if not isinstance(source, str):
        return ""
    return source.encode("utf-8", "replace").decode("utf-8").replace("\x00", "")[:MAX_SOURCE_CHARS]


def graft(release, path):
    """(notebook, notes): a copy of the released notebook with the student's solution cells and free cells."""
    cells, problem = read_cells(path)
    ours = {c.metadata.nbgrader.grade_id: c for c in release.cells if "nbgrader" in c.metadata}
    by_id = {c.id: name for name, c in ours.items()}
    solutions, free, place, notes = {}, {}, None, []
    for kind, source, grade_id, cell_id in cells:
        name = grade_id if grade_id in ours else by_id.get(cell_id)
        if name is None:
            if kind == "code" and source.strip():
                free.setdefault(place, []).append(source)
            continue
        place = name
        if not utils.is_solution(ours[name]):
            continue
        if name in solutions and solutions[name] != source:
            notes.append(f"The cell {name} was there more than once: all are kept, in their order.")
            solutions[name] += "\n\n" + source
        else:
            solutions[name] = source
    missing = [name for name, cell in ours.items() if utils.is_solution(cell) and name not in solutions]
    if problem:
        notes.append(f"The file could not be read ({problem}). It is graded as an empty submission.")
    elif missing:
        notes.append(f"These cells were missing and are graded as empty: {', '.join(missing)}.")
    return put_together(release, solutions, free, notes), notes


def put_together(release, solutions, free, notes):
    notebook = copy.deepcopy(release)
    as_released = {
        cell.source for cell in release.cells if cell.cell_type == "code" and "nbgrader" not in cell.metadata
    }

    def free_cells(place):
        for source in free.get(place, []):
            yield new_code_cell(source, metadata={"as_released": True} if source in as_released else {})

    built = list(free_cells(None))
    if notes:
        built.insert(0, new_markdown_cell("\n".join([f"{NOTES_HEADING}\n", *(f"- {note}" for note in notes)])))
    for cell in notebook.cells:
        marks = cell.metadata.get("nbgrader")
        if marks is None and cell.cell_type == "code":
            continue  # a free cell of the release: the student's copy of it is among the free cells
        built.append(cell)
        if marks:
            cell.source = solutions.get(marks.grade_id, cell.source)
            built += free_cells(marks.grade_id)
    notebook.cells = built
    return notebook


class GraftExporter(NotebookExporter):
    """Reads a submission through `graft`; reads everything else (the copy in autograded/) as nbgrader does."""

    def from_filename(self, filename, resources=None, **options):
        ids, course = resources["nbgrader"], self.parent.coursedir
        submitted = course.format_path(course.submitted_directory, ids["student"], ids["assignment"])
        if os.path.abspath(os.path.dirname(filename)) != os.path.abspath(submitted):
            return super().from_filename(filename, resources, **options)
        release = nbformat.read(release_path(course, ids["assignment"], Path(filename).name), as_version=4)
        notebook, notes = graft(release, filename)
        for note in notes:
            self.log.warning("%s: %s", filename, note)
        whole = ResourcesDict()
        whole.update(resources)
        whole["metadata"] = ResourcesDict()
        whole["metadata"].update(name=Path(filename).stem, path=str(Path(filename).parent))
        return self.from_notebook_node(notebook, resources=whole, **options)


def release_path(course, assignment, name=""):
    return Path(course.format_path(course.release_directory, ".", assignment)) / name


def install():
    """Puts the intake before nbgrader lists the submissions: it has no hook of its own there."""
    if hasattr(Autograde.init_notebooks, "with_intake"):
        return
    stock = Autograde.init_notebooks

    def init_notebooks(converter):
        course = converter.coursedir
        register_assignment(course, converter.log)
        for folder in submission_folders(course):
            names = {path.name for path in release_path(course, course.assignment_id).glob("*.ipynb")}
            for note in make_safe(folder, names, Path(course.format_path("quarantine", *folder.parts[-2:]))):
                converter.log.warning("%s: %s", folder, note)
        stock(converter)

    init_notebooks.with_intake = True
    Autograde.init_notebooks = init_notebooks


def submission_folders(course):
    """The folder of each submission that this command is asked to grade."""
    pattern = Path(course.format_path(course.submitted_directory, course.student_id, course.assignment_id))
    return sorted(path for path in Path(pattern.anchor).glob(str(pattern.relative_to(pattern.anchor))))


def make_safe(folder, names, quarantine):
    """Moves out of a submission what nbgrader would stumble over, and sees to it that each notebook has a file.

    names: the notebooks of the release. quarantine: where things are moved. Returns notes; nothing is deleted.
    """
    problems, notes = {}, []
    if folder.is_symlink() or not folder.is_dir():
        move_away(folder, quarantine)
        folder.mkdir()
        problems = dict.fromkeys(names, "the folder was a link or a file")
    for parent, folders, files in os.walk(folder):
        for name in folders + files:
            path = Path(parent, name)
            why = objection(path)
            if why:
                notes.append(f"{name} was set aside: {why}")
                problems[name] = why
                move_away(path, quarantine)
                if name in folders:
                    folders.remove(name)
    for name in names - {path.name for path in folder.iterdir()}:
        spare = sorted(path for path in folder.glob("*.ipynb") if path.name not in names)
        if len(names) == 1 and spare and name not in problems:
            chosen = max(spare, key=lambda path: (len(read_cells(path)[0]), path.stat().st_mtime))
            shutil.copyfile(chosen, folder / name)
            notes.append(f"{chosen.name} is taken for {name}")
        else:
            why = problems.get(name, "no notebook was handed in")
            (folder / name).write_text(json.dumps({PROBLEM_KEY: why}))
    return notes


def objection(path):
    """Why a file of a submission cannot stay, or ""."""
    status = os.lstat(path)
    if stat.S_ISLNK(status.st_mode):
        return "a link"
    if stat.S_ISDIR(status.st_mode):
        return "a folder named like a notebook" if path.suffix == ".ipynb" else ""
    if not stat.S_ISREG(status.st_mode):
        return "a special file"
    if path.suffix in (".py", ".pth", ".so", ".pyc"):
        return "a module could replace one that the notebook imports"
    if status.st_size > (MAX_FILE_BYTES if path.suffix == ".ipynb" else MAX_DATA_BYTES):
        return f"too big, {status.st_size} bytes"
    if path.name == "timestamp.txt":
        try:
            utils.parse_utc(path.read_text().strip())
        except Exception:  # whatever dateutil raises for nonsense
            return "an unreadable time stamp"
    return ""


def move_away(path, quarantine):
    quarantine.mkdir(parents=True, exist_ok=True)
    os.rename(path, quarantine / f"{time.time_ns()}-{path.name}")


def register_assignment(course, log):
    """Fills the gradebook where `generate_assignment` has not run; refuses a gradebook of another version."""
    assignment = course.assignment_id
    released = sorted(release_path(course, assignment).glob("*.ipynb"))
    try:
        with Gradebook(course.db_url, course.course_id) as gradebook:
            recorded = {
                notebook.name: {(cell.name, cell.locked) for cell in notebook.source_cells}
                for notebook in gradebook.find_assignment(assignment).notebooks
            }
    except MissingEntry:
        recorded = {}
    if not recorded or not released:
        log.info("Registering %s: generate_assignment has not run here", assignment)
        generate(course, None if released else course.release_directory)
        return
    for path in released:
        cells = [cell for cell in nbformat.read(path, as_version=4).cells if "nbgrader" in cell.metadata]
        if {(cell.metadata.nbgrader.grade_id, utils.is_locked(cell)) for cell in cells} != recorded.get(path.stem):
            raise NbGraderException(
                f"the gradebook knows another version of {assignment}: run `nbgrader generate_assignment {assignment} "
                "--force` (before the first submission is graded) or start a new gradebook"
            )


def generate(course, release):
    """Runs generate_assignment; the release is thrown away where `release` is None."""
    config = copy.deepcopy(course.parent.config)
    config.CourseDirectory.assignment_id = course.assignment_id
    config.CourseDirectory.student_id = "."
    with tempfile.TemporaryDirectory() as scratch:
        config.CourseDirectory.release_directory = release or scratch
        GenerateAssignment(coursedir=CourseDirectory(config=config), config=config).start()
