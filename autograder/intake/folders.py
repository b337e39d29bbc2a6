"""Makes the folder of a submission fit to be graded, whatever is in it. Nothing is deleted, and nothing is executed.

When it was handed in is never the submission's own word, see received.py."""

import json
import mimetypes
import os
import re
import shutil
import stat
import time
from pathlib import Path

from autograder.intake import received
from autograder.intake.outputs import without_outputs
from autograder.intake.reading import MAX_FILE_BYTES, leave_problem, read_cells

MAX_DATA_BYTES = 50 << 20  # of all other files together
MAX_DATA_FILES = 200
MAX_WITH_OUTPUTS = 512 << 20  # of a notebook, before its saved outputs are taken out
# what nbgrader takes for a pattern, a database or a file system refuses, a browser takes for HTML, or turns text around
UNFIT = re.compile('[][*?<>&"\x00-\x1f\x7f-\x9f\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069\ud800-\udfff]')
RUNS_IN_BROWSER = re.compile("html|[/+]xml|javascript")  # in the kind of file that its name stands for


def submission_folders(course):
    """The folder of each submission that this command is asked to grade, its names mended where nbgrader would stumble.

    What a student's name may not hold: UNFIT. The assignment's name may be in other letter case.
    """
    pattern = Path(course.format_path(course.submitted_directory, course.student_id, course.assignment_id))
    for student in Path(pattern.anchor).glob(str(pattern.parent.relative_to(pattern.anchor))):
        if not student.is_dir() or student.name.startswith("."):
            continue
        safe = UNFIT.sub("_", student.name)[:128]
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
        for path in folder.rglob("*.ipynb"):
            slim(course, folder, path, quarantine)
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
    if folder.parent.is_symlink() or folder.is_symlink() or not folder.is_dir():
        move_away(folder.parent if folder.parent.is_symlink() else folder, quarantine)
        folder.mkdir(parents=True)
        problems, notes = dict.fromkeys(names, "the folder was a link or a file"), []
    else:
        problems, notes = set_aside(folder, names, quarantine)
    for name in sorted(names):
        notes += provide(folder, name, spare_notebooks(folder, names) if len(names) == 1 else [], problems)
    return notes


def set_aside(folder, names, quarantine):
    """Moves away what may not stay. Returns ({name: why}, notes)."""
    problems, notes, size, count = {}, [], 0, 0
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
    return problems, notes


def provide(folder, name, spare, problems):
    """Sees to it that the notebook `name` is there: itself, the best of the spare ones, or the reason why it is not."""
    if (folder / name).exists():
        others = ", ".join(printable(path.name) for path in spare[:5])
        return [f"Graded is {name}; there was also {others}."] if spare else []
    if spare and name not in problems:
        chosen = max(spare, key=lambda path: (len(read_cells(path)[0]), path.stat().st_mtime))
        shutil.copyfile(chosen, folder / name)
        return [f"{printable(str(chosen.relative_to(folder)))} is taken for {name}."]
    there = sorted(printable(path.name) for path in folder.iterdir() if path.name != "timestamp.txt")
    why = f"no notebook was handed in{', but ' + ', '.join(there[:3]) if there else ''}"
    leave_problem(folder / name, problems.get(name, why))
    return []


def slim(course, folder, path, quarantine):
    """Takes the saved outputs out of a notebook that is too big with them; what is too big without them stays."""
    content = without_outputs(path, MAX_FILE_BYTES) if path.stat().st_size > MAX_FILE_BYTES else None
    if content is not None:
        before = received.digest(path)
        move_away(path, quarantine)
        path.write_bytes(content)
        received.has_become(course, folder, before, path)


def raise_it(error):
    raise error


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
    if status.st_size > (MAX_WITH_OUTPUTS if path.suffix == ".ipynb" else MAX_DATA_BYTES):
        return f"too big, {status.st_size} bytes"
    return "" if os.access(path, os.R_OK) else "it may not be read"


def move_away(path, quarantine):
    quarantine.mkdir(parents=True, exist_ok=True)
    if path.is_dir() and not path.is_symlink():
        path.chmod(0o700)  # a closed folder cannot be moved
    os.rename(path, quarantine / f"{time.time_ns()}-{os.fsdecode(os.fsencode(path.name)[-100:])}")
