"""The course for nbgrader: `nbgrader generate_assignment`, `autograde`, `generate_feedback`, `export`, `zip_collect`.

Works from the root of the repository and from autograder/. Every path is absolute, made from this file's place.
"""

import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent
sys.path.insert(0, str(ROOT))

c = get_config()  # noqa: F821

c.CourseDirectory.course_id = "llm-inference"
c.CourseDirectory.root = str(ROOT)
c.CourseDirectory.source_directory = "solutions"
c.CourseDirectory.release_directory = "notebooks"
c.CourseDirectory.db_url = f"sqlite:///{HERE / 'gradebook.db'}"
for step in ("submitted", "autograded", "feedback", "solution", "source_with_tests"):
    setattr(c.CourseDirectory, f"{step}_directory", str(Path("autograder", step)))
# The script is the instructor's; a student's .py file could shadow a module that the notebook imports.
c.CourseDirectory.ignore = [".ipynb_checkpoints", "__pycache__", "*.py", "*.pyc", "*.pth", "*.so"]

c.ClearSolutions.code_stub = {"python": "raise NotImplementedError"}
c.ClearSolutions.text_stub = "Write your answer here."
