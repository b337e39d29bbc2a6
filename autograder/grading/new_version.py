"""Brings the cells in a gradebook to the version of the assignment that is in solutions/."""

import re

import nbformat
from nbgrader import utils
from nbgrader.api import Comment, Grade, Gradebook

from autograder.assignment import notebooks
from autograder.grading.snapshot import CannotRegrade


def wanted_cells(assignment, root):
    """{grade_id: cell} of the source notebook. Raises CannotRegrade where it is older than its script."""
    script = root / "solutions" / assignment / f"{assignment}.py"
    if not script.exists():
        raise CannotRegrade(f"no assignment {assignment} in solutions/")
    made = notebooks.build(script, root / "notebooks", notebooks.course_config())
    stale = [path for path, content in made.items() if not path.exists() or path.read_bytes() != content]
    if stale:
        raise CannotRegrade(f"{stale[0].name} is stale: run `python -m autograder notebooks {assignment}` first")
    cells = nbformat.read(script.with_suffix(".ipynb"), as_version=4).cells
    return {cell.metadata.nbgrader.grade_id: cell for cell in cells if "nbgrader" in cell.metadata}


def bring_up_to_date(url, assignment, wanted, renames):
    """Makes the gradebook's cells those of `wanted`; returns {old name: new name} of the cells that were renamed.

    nbgrader refuses to add or remove cells under submissions; it updates texts and points itself afterwards.
    """
    renamed = {}
    with Gradebook(url) as gradebook:
        notebook = gradebook.find_notebook(assignment, assignment)
        for group in (list(notebook._base_cells), list(notebook.source_cells)):
            for cell in group:
                new = new_name(cell.name, renames)
                if new != cell.name and cell.name not in wanted and new in wanted:
                    renamed[cell.name] = cell.name = new
        gradebook.db.flush()
        for cell in list(notebook._base_cells):
            if not is_wanted(cell, wanted):
                for row in [*cell.grades, *cell.comments]:
                    gradebook.db.delete(row)
                gradebook.db.delete(cell)
        for cell in list(notebook.source_cells):
            if cell.name not in wanted:
                gradebook.db.delete(cell)
        gradebook.db.commit()
        gradebook.db.expire_all()
        add_cells(gradebook, assignment, wanted)
    return renamed


def new_name(name, renames):
    prefix, base = re.match(r"((?:test_|hidden_|answer_|task_)?)(.*)", name).groups()
    return prefix + renames.get(base, base)


def is_wanted(cell, wanted):
    there = wanted.get(cell.name)
    return there is not None and {"GradeCell": utils.is_grade, "SolutionCell": utils.is_solution}[type(cell).__name__](
        there
    )


def add_cells(gradebook, assignment, wanted):
    notebook = gradebook.find_notebook(assignment, assignment)
    graded, solved = ({cell.name for cell in cells} for cells in (notebook.grade_cells, notebook.solution_cells))
    sources = {cell.name for cell in notebook.source_cells}
    for name, cell in wanted.items():
        place, submissions = (name, assignment, assignment), list(notebook.submissions)
        if utils.is_grade(cell) and name not in graded:
            points = float(cell.metadata.nbgrader.points)
            added = gradebook.add_grade_cell(*place, max_score=points, cell_type=cell.cell_type)
            gradebook.db.add_all(Grade(cell_id=added.id, notebook=one) for one in submissions)
        if utils.is_solution(cell) and name not in solved:
            added = gradebook.add_solution_cell(*place)
            gradebook.db.add_all(Comment(cell_id=added.id, notebook=one) for one in submissions)
        if name not in sources:
            gradebook.add_source_cell(
                *place, cell_type=cell.cell_type, source=cell.source, locked=utils.is_locked(cell)
            )
    gradebook.db.commit()
