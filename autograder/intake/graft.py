"""Whatever a student hands in becomes the released notebook with only that student's own cells grafted in.

Locked cells, tags, metadata, outputs and the order of cells are the release's; the student supplies the text of
solution cells and free cells. What cannot be read is graded as empty, with a note."""

import copy
import re

from nbformat.v4 import new_code_cell, new_markdown_cell
from nbgrader import utils

from autograder.intake.reading import read_cells

MAX_CELLS = 1000
NOTES_HEADING = "**Notes on what was handed in**"


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
            elif utils.is_solution(cell) and cell.cell_type == "code":
                cell.metadata["unwritten"] = True
            built += free_cells(marks.grade_id)
    notebook.cells = built
    return notebook


def notes_of(cells):
    """What the intake wrote at the top of a graded notebook."""
    if not cells or not cells[0].source.startswith(NOTES_HEADING):
        return []
    return re.findall(r"^- (.*)", cells[0].source, re.M)
