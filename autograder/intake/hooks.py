"""How nbgrader's autograde comes to use the intake: it has no place for a step of our own there."""

import os
from pathlib import Path

import nbformat
from nbconvert.exporters import NotebookExporter
from nbconvert.exporters.exporter import ResourcesDict
from nbgrader.converters import Autograde
from nbgrader.preprocessors import OverwriteCells

from autograder.intake import received
from autograder.intake.folders import quarantine_of, remembered, submission_folders, take_in
from autograder.intake.graft import graft
from autograder.intake.register import register_assignment, release_path


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


class RestoreTests(OverwriteCells):
    """nbgrader's OverwriteCells. A released notebook lacks the hidden tests, so that their cells differ is no news."""

    def preprocess(self, nb, resources):
        self.restored = []
        nb, resources = super().preprocess(nb, resources)
        if self.restored:
            self.log.info("The tests of %d cells are the course's own again", len(self.restored))
        return nb, resources

    def report_change(self, name, attr, old, new):
        if attr == "checksum":
            self.restored.append(name)
        else:
            super().report_change(name, attr, old, new)


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
