"""The course for nbgrader: `nbgrader generate_assignment`, `autograde`, `generate_feedback`, `export`, `zip_collect`.

Works from the root of the repository and from autograder/. Every path is made from this file's place. Two environment
variables move a class elsewhere: COURSE_WORK (a folder for submitted, autograded, feedback, the gradebook and the
release) and NBGRADER_DB_URL (a database of your own).
"""

import os
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent
WORK = Path(os.environ.get("COURSE_WORK", HERE)).resolve()
if str(ROOT) not in sys.path:  # the formgrader reads this file at every request
    sys.path.insert(0, str(ROOT))
# nbgrader starts `alembic` by name, which an environment that was not activated does not have on its path
programs = [str(Path(sys.executable).parent), *os.environ.get("PATH", "").split(os.pathsep)]
os.environ["PATH"] = os.pathsep.join(dict.fromkeys(programs))

from nbconvert.preprocessors import ClearMetadataPreprocessor  # noqa: E402
from nbgrader.preprocessors import (  # noqa: E402
    AssignLatePenalties,
    CheckCellMetadata,
    ClearOutput,
    LimitOutput,
    OverwriteKernelspec,
    SaveAutoGrades,
)

from autograder.grading import schema  # noqa: E402
from autograder.grading.execute import CourseExecute  # noqa: E402
from autograder.intake import hooks  # noqa: E402
from autograder.intake.collect import CourseCollect, CourseCollector, CourseExtractor  # noqa: E402
from autograder.results import formgrader  # noqa: E402
from autograder.results.feedback import CourseGrades, FeedbackExporter, FeedbackView  # noqa: E402
from autograder.results.grades_csv import CourseExport  # noqa: E402
from autograder.sandbox import provisioner  # noqa: E402

c = get_config()  # noqa: F821

c.CourseDirectory.course_id = "llm-inference"
c.CourseDirectory.root = str(ROOT)
c.CourseDirectory.source_directory = "solutions"
c.CourseDirectory.release_directory = "notebooks" if WORK == HERE else str(WORK / "notebooks")
for step in ("submitted", "autograded", "feedback", "solution", "source_with_tests"):
    place = Path("autograder", step) if WORK == HERE else WORK / step
    setattr(c.CourseDirectory, f"{step}_directory", str(place))
c.CourseDirectory.db_url = os.environ.get("NBGRADER_DB_URL", f"sqlite:///{WORK / 'gradebook.db'}")
# The script is the instructor's; a student's .py file could shadow a module that the notebook imports.
c.CourseDirectory.ignore = [".ipynb_checkpoints", "__pycache__", "*.py", "*.pyc", "*.pth", "*.so"]

c.ClearSolutions.code_stub = {"python": "raise NotImplementedError"}
c.ClearSolutions.text_stub = "Write your answer here."

# Archives from an LMS are put into autograder/downloaded/NN_topic/archive; their names: autograder/intake/collect.py.
c.ZipCollectApp.collect_directory_structure = str(WORK / "{downloaded}" / "{assignment_id}" / "{collect_step}")
c.ZipCollectApp.collector_plugin = CourseCollector
c.ZipCollectApp.extractor_plugin = CourseExtractor
c.ExchangeFactory.collect = CourseCollect

# What arrives is rebuilt from the release with only the student's own cells, see autograder/intake/.
hooks.install()
schema.install()
provisioner.install()  # the jail: autograder/sandbox
c.CourseExecute.kernel_name = provisioner.NAME
c.CourseExecute.shutdown_kernel = "immediate"  # no farewell to wait for
c.Autograde.exporter_class = hooks.GraftExporter
c.Autograde.sanitize_preprocessors = [ClearOutput, OverwriteKernelspec, hooks.RestoreTests, CheckCellMetadata]
c.RestoreTests.add_missing_cells = True
c.Autograde.autograde_preprocessors = [
    CourseExecute,
    ClearMetadataPreprocessor,
    LimitOutput,
    SaveAutoGrades,
    AssignLatePenalties,
    CheckCellMetadata,
]
c.Execute.timeout = 60  # the student's cells and the tests have less, see autograder/grading/execute.py
c.Execute.iopub_timeout = 60  # a busy machine is not the student's fault
c.Execute.raise_on_iopub_timeout = False

c.ExportApp.plugin_class = CourseExport

# One page per student that opens without a network, hidden tests left out, see autograder/results/feedback.py.
# nbgrader's formgrader takes its own pages from HTMLExporter, so nothing here may set that class's template.
c.GenerateFeedback.exporter_class = FeedbackExporter
c.GenerateFeedback.preprocessors = [CourseGrades, FeedbackView]
c.FeedbackExporter.extra_template_basedirs = [str(HERE / "results" / "templates")]
c.FeedbackExporter.template_name = "course_feedback"
c.FeedbackExporter.preprocessors = []

# What a student's code displays is shown by the formgrader in your browser, see autograder/results/formgrader.py.
c.HTMLExporter.preprocessors = [formgrader.SafeOutputs]
c.HTMLExporter.filters = {"markdown2html": formgrader.safe_markdown}
