"""An assignment as the gradebook holds it: its locked cells, ready to be run outside of the student's process."""

import re

from nbgrader.api import Gradebook

from autograder.assignment.cells import Cell
from autograder.scoring import Topic

PART = re.compile(r"(task|test|hidden)_(\w+)")
loaded = {}  # the last one: a class is graded assignment by assignment


def master_cells(database, assignment, notebook):
    """{grade_id: (source, is Markdown, is locked)} of the cells of the instructor's notebook when it was released."""
    with Gradebook(database) as gradebook:
        cells = gradebook.find_notebook(notebook, assignment).source_cells
        return {cell.name: (cell.source, cell.cell_type == "markdown", cell.locked) for cell in cells}


def script_cells(masters, order):
    """The cells of a script (see assignment/cells.py) made of the master's, in the order of the grade_ids `order`."""
    solutions = {name for name, (_, is_markdown, is_locked) in masters.items() if not is_markdown and not is_locked}
    cells, complete = [], set()
    for name in order:
        if name not in masters:
            continue
        source, is_markdown, is_locked = masters[name]
        part = PART.fullmatch(name)
        if part and part[2] in solutions:
            cells.append(Cell(part[1], 0, part[2], {"points": 0}, source))
            complete.add((part[1], part[2]))
        elif name in solutions:
            cells.append(Cell("solution", 0, name, {}, source))
        elif not is_markdown and is_locked:
            cells.append(Cell("setup", 0, name, {}, source))
    for name in solutions:
        if ("task", name) not in complete:
            cells.append(Cell("task", 0, name, {}, ""))
    return cells


def load_topic(database, assignment, notebook, order):
    """The Topic of an assignment, its set-up cells run once in this process."""
    masters = master_cells(database, assignment, notebook)
    key = (assignment, notebook, tuple(sorted(masters.items())))
    if key not in loaded:
        loaded.clear()
        loaded[key] = Topic(assignment, script_cells(masters, order))
    return loaded[key]
