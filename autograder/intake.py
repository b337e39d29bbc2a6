"""Whatever a student hands in becomes the released notebook with only that student's own cells grafted in.

Nothing here executes what arrived. Locked cells, tags, metadata, outputs and the order of cells are the release's; the
student supplies the text of solution cells and free cells. What cannot be read is graded as empty, with a note. When it
was handed in is never the submission's own word, see autograder/received.py.
"""

import copy
import json
import mimetypes
import os
import re
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

from autograder import received

MAX_FILE_BYTES = 64 << 20  # JSON of this size takes about 1.5 GB to read at its worst
MAX_DATA_BYTES = 50 << 20  # of all other files together
MAX_DATA_FILES = 200
MAX_CELLS = 1000
MAX_SOURCE_CHARS = 200_000
RUNS_IN_BROWSER = re.compile("html|xml|javascript")  # in the kind of file that its name stands for
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
        content = Path(path).read_bytes()
        raw = json.loads(content.decode(json.detect_encoding(content), "replace"))
    except RecursionError:
        return [], "its JSON is nested too deeply"
    except ValueError:
        return [], "it is not JSON"
    except OSError as error:
        return [], f"the file cannot be opened: {error.strerror}"
    except MemoryError:
        return [], "it does not fit into memory"
    if not isinstance(raw, dict):
        return [], "it is not a notebook"
    if PROBLEM_KEY in raw:
        return [], text_of(raw[PROBLEM_KEY])[:400]
    cells = raw.get("cells")
    if cells is None and isinstance(raw.get("worksheets"), list):  # nbformat 3
        sheets = [sheet.get("cells") for sheet in raw["worksheets"] if isinstance(sheet, dict)]
        cells = [cell for sheet in sheets if isinstance(sheet, list) for cell in sheet]
    if not isinstance(cells, list):
        return [], "it holds no cells"
    return [read_cell(cell) for cell in cells if isinstance(cell, dict)], ""


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


def graft(release, path, earlier=(), renamed=()):
    """(notebook, notes): a copy of the released notebook with the student's solution cells and free cells.

    earlier: notes that were made before the file was read. renamed: {name of an exercise then: its name now}.
    """
    cells, problem = read_cells(path)
    cells = [under_new_name(cell, renamed) for cell in cells] if renamed else cells
    ours = {c.metadata.nbgrader.grade_id: c for c in release.cells if "nbgrader" in c.metadata}
    by_id = {c.id: name for name, c in ours.items()}
    by_source = {c.source: name for name, c in ours.items() if utils.is_locked(c)}
    solutions, free, place, notes = {}, {}, None, list(earlier)
    for kind, source, grade_id, cell_id in cells[:MAX_CELLS]:
        name = grade_id if grade_id in ours else by_id.get(cell_id, by_source.get(source))
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
    empty = [name for name, cell in ours.items() if utils.is_solution(cell) and name not in solutions]
    missing = [name for name in empty if not adopt(name, ours[name], solutions, free, notes)]
    if len(cells) > MAX_CELLS:
        notes.append(f"Only the first {MAX_CELLS} of its {len(cells)} cells were read.")
    if problem:
        notes.append(f"The file could not be read ({problem}). It is graded as an empty submission.")
    elif missing and not solutions:
        notes.append("None of its cells belongs to this assignment: is it the right notebook? It is graded as empty.")
    elif missing:
        notes.append(f"These cells were missing and are graded as empty: {', '.join(missing)}.")
    return put_together(release, solutions, free, notes), notes


def under_new_name(cell, renamed):
    """A cell of a submission from before an exercise got another name: its function is known by both names."""
    kind, source, *names = cell
    for old, new in renamed.items():
        if kind == "code" and old in names:
            source += f"\n\n{new} = {old}"
        names = [{old: new, f"answer_{old}": f"answer_{new}"}.get(name, name) for name in names]
    return kind, source, *names


def adopt(name, cell, solutions, free, notes):
    """Takes free cells that define the function `name` for its solution cell, which lost its marks; whether it did."""
    if cell.cell_type != "code":
        return False
    defines = re.compile(rf"^(?:def|class|async def) {re.escape(name)}\b", re.M)
    found = [source for sources in free.values() for source in sources if defines.search(source)]
    if not found:
        return False
    for place, sources in free.items():
        free[place] = [source for source in sources if source not in found]
    solutions[name] = "\n\n".join(found)
    notes.append(f"The cell {name} had lost its marks: the cell that defines {name} is taken for it.")
    return True


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
            if solutions.get(marks.grade_id, cell.source) != cell.source:
                cell.source = solutions[marks.grade_id]
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
        earlier = remembered(quarantine_of(course, Path(submitted)), filename)
        renamed = received.load(received.beside_submitted(course, "received") / ids["assignment"] / "renamed.json")
        notebook, notes = graft(release, filename, earlier, renamed)
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
        names = {path.name for path in release_path(course, course.assignment_id).glob("*.ipynb")}
        for folder in submission_folders(course):
            for note in take_in(course, folder, names):
                converter.log.warning("%s: %s", folder, note)
        stock(converter)

    init_notebooks.with_intake = True
    Autograde.init_notebooks = init_notebooks


def submission_folders(course):
    """The folder of each submission that this command is asked to grade, its names mended where nbgrader would stumble.

    A student's name may not hold what nbgrader takes for a pattern, nor what a database refuses, nor HTML, which the
    formgrader's pages would run; the assignment's name may be in other letter case.
    """
    pattern = Path(course.format_path(course.submitted_directory, course.student_id, course.assignment_id))
    for student in Path(pattern.anchor).glob(str(pattern.parent.relative_to(pattern.anchor))):
        if not student.is_dir() or student.name.startswith("."):
            continue
        safe = re.sub(r"[\[\]*?<>&\"\x00-\x1f\x7f-\x9f\ud800-\udfff]", "_", student.name)[:128]
        if safe != student.name and any(path.name == pattern.name for path in student.iterdir()):
            student = student.rename(unused(student.with_name(safe)))
        folders = {path.name: path for path in student.iterdir()} if os.access(student, os.R_OK | os.X_OK) else {}
        alike = [name for name in folders if name.casefold() == pattern.name.casefold()]
        if pattern.name not in folders and len(alike) == 1:
            folders[alike[0]].rename(student / pattern.name)
    found = Path(pattern.anchor).glob(str(pattern.relative_to(pattern.anchor)))
    return sorted(path for path in found if not path.parent.name.startswith("."))


def unused(path):
    number = 1
    while os.path.lexists(path):
        number += 1
        path = path.with_name(f"{path.name[:120]}_{number}")
    return path


def printable(name):
    """A file's name as a note may show it, in Markdown too."""
    return re.sub(r"[^\w .,()+@~=/-]", "?", os.fsencode(name).decode("utf-8", "replace"))


def take_in(course, folder, names):
    """Makes one submission fit to be graded, whatever is in it. Returns notes, which are remembered too."""
    quarantine = quarantine_of(course, folder)
    try:
        notes = make_safe(folder, names, quarantine)
    except OSError as error:
        move_away(folder, quarantine)
        folder.mkdir()
        for name in names:
            leave_problem(folder / name, f"the submission's folder cannot be read: {error.strerror}")
        notes = []
    notes += received.write_time(course, folder)
    if notes:
        remember(quarantine, folder, names, notes)
    return notes


def quarantine_of(course, folder):
    return received.beside_submitted(course, "quarantine").joinpath(*folder.parts[-2:])


def remember(quarantine, folder, names, notes):
    """Keeps the notes for as long as the notebook stays what it is: a second grading finds the folder mended."""
    kept = {}
    for name in names:
        digest = received.digest(folder / name)
        before = remembered(quarantine, folder / name)
        kept[digest] = before + [note for note in notes if note not in before]
    quarantine.mkdir(parents=True, exist_ok=True)
    (quarantine / "notes.json").write_text(json.dumps(kept, indent=1))


def remembered(quarantine, path):
    """The notes that the intake made on the notebook at `path`."""
    try:
        return json.loads((quarantine / "notes.json").read_text())[received.digest(path)]
    except (OSError, ValueError, KeyError):
        return []


def make_safe(folder, names, quarantine):
    """Moves out of a submission what nbgrader would stumble over, and sees to it that each notebook has a file.

    names: the notebooks of the release. quarantine: where things are moved. Returns notes; nothing is deleted.
    """
    problems, notes, size, count = {}, [], 0, 0
    if folder.parent.is_symlink() or folder.is_symlink() or not folder.is_dir():
        which = folder.parent if folder.parent.is_symlink() else folder
        move_away(which, quarantine)
        folder.mkdir(parents=True)
        problems = dict.fromkeys(names, "the folder was a link or a file")
    for parent, folders, files in os.walk(folder, onerror=raise_it):
        for name in sorted(folders) + sorted(files):
            path = Path(parent, name)
            why = objection(path)
            if not why and name in files and path.suffix != ".ipynb":
                size, count = size + path.lstat().st_size, count + 1
                why = "too many or too big files" if size > MAX_DATA_BYTES or count > MAX_DATA_FILES else ""
            if why:
                notes.append(f"{printable(name)} was set aside: {why}.")
                problems[name] = why
                move_away(path, quarantine)
                if name in folders:
                    folders.remove(name)
            elif name in names and path.stat().st_nlink > 1:
                notes.append(f"{name} has a second name elsewhere on the disk (a hard link): whose work is it?")
    for name in sorted(names):
        spare = spare_notebooks(folder, names) if len(names) == 1 else []
        if (folder / name).exists():
            if spare:
                others = ", ".join(printable(path.name) for path in spare[:5])
                notes.append(f"Graded is {name}; there was also {others}.")
        elif spare and name not in problems:
            chosen = max(spare, key=lambda path: (len(read_cells(path)[0]), path.stat().st_mtime))
            shutil.copyfile(chosen, folder / name)
            notes.append(f"{printable(str(chosen.relative_to(folder)))} is taken for {name}.")
        else:
            there = sorted(printable(path.name) for path in folder.iterdir() if path.name != "timestamp.txt")
            why = f"no notebook was handed in{', but ' + ', '.join(there[:3]) if there else ''}"
            leave_problem(folder / name, problems.get(name, why))
    return notes


def raise_it(error):
    raise error


def leave_problem(path, why):
    path.write_text(json.dumps({PROBLEM_KEY: why}))


def spare_notebooks(folder, names):
    """Files that may be the notebook: as browsers and systems rename it, or in a folder of its own."""
    found = []
    for path in sorted(folder.rglob("*")):
        kind = re.search(r"\.ipynb(\.(json|txt))?$|\.json$", path.name, re.I)
        hidden = any(part.startswith((".", "__")) for part in path.relative_to(folder).parts)
        if kind and not hidden and path.is_file() and path != folder / next(iter(names)):
            found.append(path)
    return found


def objection(path):
    """Why a file of a submission cannot stay, or ""."""
    status = os.lstat(path)
    if stat.S_ISLNK(status.st_mode):
        return "a link"
    if stat.S_ISDIR(status.st_mode):
        if not os.access(path, os.R_OK | os.X_OK):
            return "a folder that may not be read"
        return "a folder named like a notebook" if path.suffix == ".ipynb" else ""
    if not stat.S_ISREG(status.st_mode):
        return "a special file"
    if status.st_nlink > 1 and path.suffix != ".ipynb":
        return "a hard link, a second name of somebody's file"
    if path.suffix in (".py", ".pth", ".so", ".pyc"):
        return "a module could replace one that the notebook imports"
    if RUNS_IN_BROWSER.search(mimetypes.guess_type(path.name)[0] or ""):
        return "a web page or script could run in the browser of whoever opens it"
    if status.st_size > (MAX_FILE_BYTES if path.suffix == ".ipynb" else MAX_DATA_BYTES):
        return f"too big, {status.st_size} bytes"
    return "" if os.access(path, os.R_OK) else "it may not be read"


def move_away(path, quarantine):
    quarantine.mkdir(parents=True, exist_ok=True)
    if path.is_dir() and not path.is_symlink():
        path.chmod(0o700)  # a closed folder cannot be moved
    os.rename(path, quarantine / f"{time.time_ns()}-{os.fsdecode(os.fsencode(path.name)[-100:])}")


def register_assignment(course, log):
    """Fills the gradebook where `generate_assignment` has not run; refuses a gradebook of another version."""
    assignment = course.assignment_id
    released = sorted(release_path(course, assignment).glob("*.ipynb"))
    try:
        with Gradebook(course.db_url, course.course_id) as gradebook:
            recorded = {
                notebook.name: {cell.name: (cell.locked, cell.source) for cell in notebook.source_cells}
                for notebook in gradebook.find_assignment(assignment).notebooks
            }
    except MissingEntry:
        recorded = {}
    if not recorded or not released:
        log.info("Registering %s: generate_assignment has not run here", assignment)
        generate(course, None if released else course.release_directory)
        return
    for path in released:
        known = {name: locked for name, (locked, _) in recorded.get(path.stem, {}).items()}
        if {name: utils.is_locked(cell) for name, cell in marked_cells(path).items()} != known:
            why = (
                f"the gradebook knows another {assignment}: run `python -m autograder regrade {assignment}`. "
                "It brings the gradebook to this version and keeps what was graded by hand"
            )
            log.error(why)  # nbgrader ends without a word
            raise NbGraderException(why)
        source = Path(course.format_path(course.source_directory, ".", assignment)) / path.name
        tests = {n: c.source for n, c in marked_cells(source).items() if utils.is_grade(c) and not utils.is_solution(c)}
        changed = [name for name, text in tests.items() if recorded[path.stem].get(name, (0, text))[1] != text]
        if changed:
            log.warning(
                "These tests changed since the gradebook was filled, and the old ones are used: %s. "
                "For the new ones run `python -m autograder regrade %s`",
                ", ".join(changed),
                assignment,
            )


def marked_cells(path):
    """{grade_id: cell} of one of the course's own notebooks, {} where it is missing."""
    if not path.exists():
        return {}
    return {
        c.metadata.nbgrader.grade_id: c for c in nbformat.read(path, as_version=4).cells if "nbgrader" in c.metadata
    }


def generate(course, release):
    """Runs generate_assignment; the release is thrown away where `release` is None."""
    config = copy.deepcopy(course.parent.config)
    config.CourseDirectory.assignment_id = course.assignment_id
    config.CourseDirectory.student_id = "."
    with tempfile.TemporaryDirectory() as scratch:
        config.CourseDirectory.release_directory = release or scratch
        GenerateAssignment(coursedir=CourseDirectory(config=config), config=config).start()
