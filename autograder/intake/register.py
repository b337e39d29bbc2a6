"""Fills the gradebook with an assignment's cells before anything is graded, and refuses one of another version."""

import copy
import tempfile
from pathlib import Path

import nbformat
from nbgrader import utils
from nbgrader.api import Gradebook, MissingEntry
from nbgrader.converters import GenerateAssignment
from nbgrader.converters.base import NbGraderException
from nbgrader.coursedir import CourseDirectory


def release_path(course, assignment, name=""):
    return Path(course.format_path(course.release_directory, ".", assignment)) / name


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
