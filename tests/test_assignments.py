"""The assignments: notebooks are what the scripts say, scripts keep the rules of CONTRIBUTING.md and run."""

import ast
import os
import re
import shutil
import subprocess
import sys
import tomllib
import venv
from pathlib import Path

import nbformat
import pytest
import small_course
import warm

from autograder.assignment.cells import split_cells
from autograder.assignment.narrow import narrow
from autograder.assignment.notebooks import ROOT, build, course_config
from autograder.assignment.script import ScriptError, read_script

SCRIPTS = sorted((ROOT / "solutions").glob("*/*.py"))
TOPICS = pytest.mark.parametrize("script", SCRIPTS, ids=lambda path: path.stem)
ENVIRONMENT = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1", "MPLBACKEND": "agg"}

GOOD = '''\
# %% [markdown]
# # A topic

# %% setup=True
import math

LIMIT = 3

# %% [markdown] task="half" stars=2 minutes=15
# ## 1. Halves
#
# Write `half(x)`.
#
# <details><summary>Hint 1</summary>
#
# An idea.
#
# </details>
# <details><summary>Hint 2</summary>
#
# Nearly code.
#
# </details>

# %% solution="half"
def half(x):
    """Half of x."""
    ### BEGIN SOLUTION
    return x / 2
    ### END SOLUTION


# %% tryit="half"
print(half(3))

# %% test="half" points=1
def test_half():
    assert half(4) == 2, "half of 4 is 2"


test_half()

# %% hidden="half" points=2
def hidden_half():
    import math

    for x in range(LIMIT):
        assert math.isclose(half(x) * 2, x), f"twice half(x) is x, not so for {x}"


hidden_half()

# %% [markdown] answer="why" points=2
# Why?
#
# ### BEGIN SOLUTION
# Because.
# ### END SOLUTION
'''


@TOPICS
def test_notebooks_are_what_the_script_says(script):
    for path, content in build(script, ROOT / "notebooks", course_config()).items():
        advice = f"edit {script.relative_to(ROOT)} (never the notebook), then run `make notebooks`"
        assert path.exists(), f"{path.relative_to(ROOT)} is missing: {advice}"
        assert path.read_bytes() == content, f"{path.relative_to(ROOT)} is not what its script makes: {advice}"


@TOPICS
def test_script_runs_clean(script):
    small_course.needs_device(script.stem)
    done = warm.run([sys.executable, script], ROOT, ENVIRONMENT, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, f"python {script.relative_to(ROOT)} fails:\n{done.stderr[-3000:]}"


@TOPICS
def test_release_holds_no_answers(script):
    cells = read_script(script)
    released = nbformat.read(ROOT / "notebooks" / script.stem / f"{script.stem}.ipynb", as_version=4)
    text = "\n".join(cell.source for cell in released.cells)
    for word in ("BEGIN SOLUTION", "END SOLUTION", "HIDDEN TESTS", "def hidden_"):
        assert word not in text, f"the released notebook still says {word}"
    for cell in cells:
        if cell.kind == "hidden":
            body = next(c.source for c in released.cells if c.id == cell.grade_id)
            assert body.count("\n") == 0 and body.startswith("# "), "a hidden cell is one comment line for students"


def test_release_is_byte_for_byte_nbgraders(tmp_path):
    for name in ("autograder", "solutions", "notebooks", "nbgrader_config.py"):
        copy = shutil.copytree if (ROOT / name).is_dir() else shutil.copy
        copy(ROOT / name, tmp_path / name)
    wanted = {path.name: path.read_bytes() for path in (ROOT / "notebooks" / "03_kv_cache").iterdir() if path.is_file()}
    command = [sys.executable, "-m", "nbgrader", "generate_assignment", "03_kv_cache", "--force"]
    done = warm.run(command, cwd=tmp_path, env=ENVIRONMENT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-2000:]
    made = tmp_path / "notebooks" / "03_kv_cache"
    assert {path.name: path.read_bytes() for path in made.iterdir() if path.is_file()} == wanted


STUB_PIP = "import os, sys\nopen(os.environ['ASKED'], 'w').write(' '.join(sys.argv[1:]))\n"


def test_a_published_notebook_installs_the_course_where_it_is_missing_only(tmp_path):
    script, config = write(tmp_path, GOOD), course_config()
    assert build(script, tmp_path / "notebooks", config, "") == build(script, tmp_path / "notebooks", config)
    made = build(script, tmp_path / "notebooks", config, "https://github.com/someone/course")
    for content in made.values():
        cells = nbformat.reads(content.decode(), as_version=4).cells
        assert [cell.id for cell in cells][:3] == ["cell-00", "install", "setup"], "the first code cell installs"
        assert "nbgrader" not in cells[1].metadata, "no cell of an exercise: at grading it is the student's own"
    # a Python of its own without the course, and a pip that only writes down what it is asked for
    venv.create(tmp_path / "clean", with_pip=False)
    (tmp_path / "stub" / "pip").mkdir(parents=True)
    (tmp_path / "stub" / "pip" / "__init__.py").touch()
    (tmp_path / "stub" / "pip" / "__main__.py").write_text(STUB_PIP)
    asked = tmp_path / "asked"
    for python, path, installs in ((sys.executable, ROOT, False), (tmp_path / "clean" / "bin" / "python", "", True)):
        environment = {**ENVIRONMENT, "PYTHONPATH": f"{tmp_path / 'stub'}{os.pathsep}{path}", "ASKED": str(asked)}
        subprocess.run([python, "-c", cells[1].source], check=True, env=environment, cwd=tmp_path)
        assert asked.exists() == installs
    want = "install --quiet llm-inference-course[notebook] @ git+https://github.com/someone/course"
    assert asked.read_text() == want


def test_a_hosted_notebook_gets_what_the_engine_and_the_assignments_import():
    extra = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]["notebook"]
    pinned = re.findall(r"(?m)^([\w-]+)==", (ROOT / "requirements.txt").read_text())
    needed = set()
    for path in [*(ROOT / "mini_engine").rglob("*.py"), *SCRIPTS]:
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Import):
                needed |= {alias.name.split(".")[0] for alias in node.names}
            elif isinstance(node, ast.ImportFrom) and node.module:
                needed.add(node.module.split(".")[0])
    oracles = {"transformers"}  # a peer of the benchmark, named where it is missing
    assert (needed & set(pinned)) - oracles <= set(extra), "pyproject.toml: the extra `notebook` lacks a package"


def meaning(source):
    """A cell's syntax tree, whatever the line breaks in its docstrings and literals."""
    tree = ast.parse(source)
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.ClassDef) and ast.get_docstring(node):
            node.body[0].value.value = node.body[0].value.value.split()
        if isinstance(node, ast.JoinedStr):
            parts = [part.value if isinstance(part, ast.Constant) else ast.dump(part) for part in node.values]
            node.values = "".join(parts)
    return ast.dump(tree)


@TOPICS
def test_code_is_narrow_in_the_notebook_and_means_the_same(script):
    cells, _ = split_cells(script.read_text(encoding="utf-8"))
    narrowed, _ = split_cells(narrow(script.read_text(encoding="utf-8")))
    for cell, narrow_cell in zip(cells, narrowed, strict=True):
        if cell.is_markdown:
            assert cell.source == narrow_cell.source
        else:
            assert max(map(len, narrow_cell.source.split("\n"))) <= 88, f"a line of {cell.kind} {cell.name} is cut"
            assert meaning(cell.source) == meaning(narrow_cell.source), f"{cell.kind} {cell.name} changed"
    released = nbformat.read(ROOT / "notebooks" / script.stem / f"{script.stem}.ipynb", as_version=4)
    for cell in released.cells:
        if cell.cell_type == "code":
            assert max(map(len, cell.source.split("\n"))) <= 88, f"a line of {cell.id} is cut"


def test_a_comment_that_makes_a_line_too_long_goes_above_it_and_words_to_ruff_go():
    value = "n = first(of_some_length, and_of_another, and_of_a_third)"
    script = f"# %%\nif x:\n    {value}  # a comment that makes this line too long\n    y = f(n)  # noqa: B023\n"
    want = f"# %%\nif x:\n    # a comment that makes this line too long\n    {value}\n    y = f(n)\n"
    assert narrow(script) == want


def write(folder, text):
    path = Path(folder) / "solutions" / "01_x" / "01_x.py"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return path


def test_generator_writes_lead_in_line_points_and_ids(tmp_path):
    made = build(write(tmp_path, GOOD), tmp_path / "notebooks", course_config())
    source, release = (nbformat.reads(made[path].decode(), as_version=4) for path in sorted(made, reverse=True))
    assert [cell.id for cell in source.cells] == [
        *("cell-00", "setup", "task_half", "half", "tryit_half", "test_half", "hidden_half", "answer_why")
    ]
    assert source.cells[2].source.startswith("## 1. Halves\n\n★★ · 15 minutes · 3 points\n\nWrite")
    for notebook in (source, release):
        assert notebook.cells[2].metadata.course == {"stars": 2, "minutes": 15, "points": 3}
    for folded, words in ((1, "# Set-up: run this cell first"), (5, "# Visible checks of half, 1 of 3 points: ")):
        assert release.cells[folded].metadata.jupyter.source_hidden and release.cells[folded].source.startswith(words)
    assert release.cells[5].source.endswith('test_half()\nprint("Passed: the visible checks of half, 1 of 3 points.")')
    assert release.cells[6].source == "# Hidden checks of half, 2 of 3 points: they run at grading."
    assert release.cells[3].source == 'def half(x):\n    """Half of x."""\n    raise NotImplementedError'
    assert release.cells[7].source == "Why?\n\n*2 points, graded by a person*\n\nWrite your answer here."
    assert [
        cell.metadata.nbgrader.points for cell in release.cells if cell.metadata.get("nbgrader", {}).get("grade")
    ] == [1, 2, 2]
    assert set(release.metadata) == {"kernelspec"}
    assert made == build(tmp_path / "solutions/01_x/01_x.py", tmp_path / "notebooks", course_config()), (
        "not byte-stable"
    )


HALF = '    assert half(4) == 2, "half of 4 is 2"\n'
MALFORMED = {
    "unknown key": ('# %% tryit="half"', '# %% trial="half"', ":33: unknown header key `trial`"),
    "unknown option": ("minutes=15", "hours=1", ":9: unknown header key `hours` in a task cell"),
    "no points": ('test="half" points=1', 'test="half"', ":36: a test cell needs `points=`"),
    "zero points": ("points=1", "points=0", ":36: `points` must be a whole number above 0, got 0"),
    "garbage": ("# %% setup=True", "# %% setup=True oops", ":4: cannot read the header"),
    "markdown mark missing": ("# Nearly code.", "Nearly code.", ":21: a line of a [markdown] cell must start with"),
    "not markdown": ('# %% [markdown] task="half"', '# %% task="half"', ":9: a task cell is [markdown]"),
    "syntax": ("    return x / 2", "    return x /", "not Python"),
    "missing hint": ("Hint 2", "Hint", "has no <details><summary>Hint 2"),
    "no heading": ("# ## 1. Halves", "# 1. Halves", "must start with a heading"),
    "missing test": ('# %% test="half" points=1\ndef test_half():\n' + HALF + "\n\ntest_half()\n", "", "no test cell"),
    "missing try-it": ('# %% tryit="half"', "# %%", "`half` has no tryit cell"),
    "order": ('# %% tryit="half"\nprint(half(3))\n', "", "no tryit"),
    "twice": ('# %% tryit="half"', '# %% solution="half"', "`half` stands twice, first in line 25"),
    "wrong name": ("def test_half():", "def test_halves():", "must be `def test_half():`"),
    "argument": ("def test_half():", "def test_half(x=1):", "without arguments"),
    "module level": ("\n\ntest_half()", "\n\nx = 1\ntest_half()", "without arguments, then its call"),
    "no message": (HALF, "    assert half(4) == 2\n", ":38: `assert half(4) == 2` has no message"),
    "name from outside": (HALF, '    assert half(math.pi), "m"\n', "test_half uses `math` from outside"),
    "global": (HALF, "    global y\n    y = 1\n", "no `global`"),
    "no region": ("    ### BEGIN SOLUTION\n", "", "needs a region"),
    "no docstring": ('    """Half of x."""\n', "", "needs a docstring"),
    "other name": ("def half(x)", "def halve(x)", "does not define `half`"),
    "points order": ('hidden="half" points=2', 'hidden="half" points=1', None),
    "hidden cheaper": ('test="half" points=1', 'test="half" points=3', "worth at least the visible"),
    "stars": ("stars=2", "stars=5", "stars go from 1 to 4"),
    "answer without region": ("# Because.\n# ### END SOLUTION\n", "# Because.\n", "written answer needs one"),
    "empty": (GOOD, "x = 1\n", ":1: no cell"),
}


@pytest.mark.parametrize("old, new, message", MALFORMED.values(), ids=MALFORMED)
def test_malformed_script_is_refused_with_file_and_line(tmp_path, old, new, message):
    assert old in GOOD
    path = write(tmp_path, GOOD.replace(old, new, 1))
    if message is None:
        read_script(path)
        return
    with pytest.raises(ScriptError) as caught:
        read_script(path)
    assert message in str(caught.value)
    assert all(line.startswith(f"{path}:") for line in str(caught.value).split("\n"))


def test_cells_out_of_order_are_refused(tmp_path):
    at = GOOD.index('# %% tryit="half"')
    test, hidden = GOOD.index('# %% test="half"'), GOOD.index('# %% hidden="half"')
    swapped = GOOD[:at] + GOOD[test:hidden] + GOOD[at:test] + GOOD[hidden:]
    with pytest.raises(ScriptError, match="the tryit cell of `half` comes too late"):
        read_script(write(tmp_path, swapped))


def test_a_test_may_use_an_earlier_exercise_that_its_lead_in_names(tmp_path):
    second = GOOD[GOOD.index("# %% [markdown] task") : GOOD.index("# %% [markdown] answer")].replace("half", "again")
    second = second.replace("again(4) == 2", "again(4) == half(4)")
    with pytest.raises(ScriptError, match="test_again uses `half` from outside"):
        read_script(write(tmp_path, GOOD + "\n" + second))
    read_script(write(tmp_path, GOOD + "\n" + second.replace("Write `again(x)`", "Write `again(x)` by `half`")))
