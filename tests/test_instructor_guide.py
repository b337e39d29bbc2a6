"""The instructor guide: every command in it is run here, or by the test that is named for it; its tables are whole."""

import json
import os
import re
import subprocess
import sys

import pytest
from traitlets.config import PyFileConfigLoader

from autograder.assignment.cells import split_cells
from autograder.auditor.audit import Row
from autograder.auditor.table import save
from autograder.grading import costs, tables
from autograder.grading.course import ROOT, hand_in, submission

GUIDE = (ROOT / "book" / "instructors.md").read_text(encoding="utf-8")
COMMANDS = [
    line for block in re.findall(r"^```bash\n(.*?)^```", GUIDE, re.M | re.S) for line in block.splitlines() if line
]
# Too heavy to run again: where else each is run, as file::test or as a file that holds the command.
AUDIT = "tests/test_audit.py::test_command_prints_the_table_and_fails_on_a_miss"
NOTEBOOKS = "tests/test_assignments.py::test_notebooks_are_what_the_script_says"
PUBLIC = "tests/test_report.py::test_the_public_page_names_nobody_and_shows_no_hidden_check"
GRADING = "tests/test_grading.py::test_every_stock_command_works_on_a_fresh_clone"
HOSTILE = "tests/test_hostile.py::test_command_prints_table_and_figures"
POSTGRES = "tests/test_grade.py::test_postgresql_holds_the_same_rows"  # skipped, loudly, where no server is installed
DASK = "tests/test_grade.py::test_a_dask_worker_that_is_killed_loses_nothing"
CANVAS = "tests/test_lms.py::test_canvas_gets_its_own_columns_and_nothing_else"
MOODLE = "tests/test_lms.py::test_moodle_keeps_its_worksheet_and_gains_two_columns"
QUESTIONS = "tests/test_question_bank.py::def written"  # skipped, loudly, where text2qti is not installed
SLIDES = "tests/test_slides.py::def deck"
RESTORE = "python -m autograder regrade 03_kv_cache --restore autograder/regrade/03_kv_cache_TIME"
COSTS = "tests/test_grade.py::test_costs_are_measured_and_saved"
COVERED = {
    "sudo apt-get install git make python3-venv bubblewrap": "tools/system_packages.sh::sudo apt-get install",
    "make book": "Makefile::book",
    ". .venv/bin/activate": "README.md",
    "make grade": "tests/test_grading.py::test_demo_command_prints_and_saves_the_table",
    "nbgrader zip_collect 03_kv_cache": GRADING,
    "python -m autograder doctor": "tests/test_doctor.py::test_promise_holds",
    "python -m autograder hostile --json autograder/hostile_table.json": HOSTILE,
    "python -m autograder costs --save": COSTS,
    "python -m autograder costs --stock --students 4 --save": COSTS,
    "python -m autograder costs --whole-class --students 300 --save": COSTS,
    "python -m autograder costs --loop --save": COSTS,
    'pip install -e ".[postgres]"': "tests/test_grade.py::test_the_guide_installs_what_the_servers_need",
    'pip install -e ".[dask]"': "tests/test_grade.py::test_the_guide_installs_what_the_servers_need",
    "export NBGRADER_DB_URL=postgresql+psycopg://USER@HOST/DATABASE": POSTGRES,
    "dask scheduler --host HOST --port 8786": DASK,
    "dask worker tcp://HOST:8786 --nworkers 16 --nthreads 1": DASK,
    "python -m autograder grade 03_kv_cache --dask tcp://HOST:8786": DASK,
    "python -m autograder lms 03_kv_cache --format canvas --roster roster.csv": CANVAS,
    "python -m autograder lms 03_kv_cache --format moodle --roster worksheet.csv": MOODLE,
    "python -m autograder regrade 03_kv_cache": "tests/test_regrade.py::test_what_cannot_be_regraded_is_said",
    RESTORE: "tests/test_regrade.py::test_restore_brings_the_old_state_back",
    "python book/tools/slides.py 03_kv_cache": SLIDES,
    "python book/tools/slides.py": SLIDES,
    "python book/tools/question_bank.py --seed 2026 --variants 5 --out questions": QUESTIONS,
    "python book/tools/question_bank.py --chapter 03_kv_cache --out questions-03": QUESTIONS,
    "nbgrader autograde 03_kv_cache": GRADING,
    "nbgrader generate_feedback 03_kv_cache": GRADING,
    "python -m autograder report 03_kv_cache": "tests/test_report.py::test_command_writes_and_refuses",
    "python -m autograder report 03_kv_cache --public": PUBLIC,
    "python -m autograder audit --save": "tests/test_instructor_guide.py::test_a_saved_audit_keeps_other_lines",
    "python -m autograder audit 03_kv_cache --exercise kv_bytes_per_token": AUDIT,
    "python -m autograder notebooks 03_kv_cache": NOTEBOOKS,
    "jupyter lab": "tests/test_instructor_guide.py::test_the_formgrader_is_installed",
}
STUDENTS = "id,first_name,last_name,email\nada,Ada,Lovelace,ada@example.org\n"


@pytest.mark.parametrize("command", COVERED)
def test_a_command_that_is_covered_elsewhere_is(command):
    assert command in COMMANDS, f"the guide no longer has `{command}`: take it from COVERED"
    file, _, name = COVERED[command].partition("::")
    text = (ROOT / file).read_text(encoding="utf-8")
    assert (name if name else command) in text, f"{COVERED[command]} is gone: who runs `{command}` now?"


def git(*arguments, folder):
    subprocess.run(["git", *arguments], cwd=folder, check=True, capture_output=True)


def test_every_other_command_runs_in_the_order_of_the_guide(tmp_path):
    """In a clone of what is committed, with two repositories on disk in place of the public and the private one."""
    if subprocess.run(["git", "rev-parse", "HEAD"], cwd=ROOT, capture_output=True).returncode:
        pytest.skip("not a git checkout")
    for name in ("upstream", "private"):
        git("init", "--quiet", "--bare", "--initial-branch=main", f"{name}.git", folder=tmp_path)
        git("config", "receive.shallowUpdate", "true", folder=tmp_path / f"{name}.git")
    git("push", "--quiet", str(tmp_path / "upstream.git"), "HEAD:refs/heads/main", folder=ROOT)
    places = {"COURSE_URL": tmp_path / "upstream.git", "PRIVATE_URL": tmp_path / "private.git"}
    environment = {key: value for key, value in os.environ.items() if key not in ("NBGRADER_DB_URL", "PYTHONPATH")}
    environment |= {"COURSE_WORK": str(tmp_path / "class"), "OMP_NUM_THREADS": "1"}
    hand_in(tmp_path / "class", "ada", "03_kv_cache", submission("03_kv_cache", {}))
    folder, ran = tmp_path, []
    for command in COMMANDS:
        if command in COVERED:
            continue
        for word, place in places.items():
            command = command.replace(word, str(place))
        if command.startswith("cd "):
            folder = folder / command[3:]
            (folder / "students.csv").write_text(STUDENTS)
            (folder / "times.csv").write_text("id,timestamp\nada,2026-12-04 17:00 +00:00\n")
            continue
        command = re.sub(r"^nbgrader\b", f"{sys.executable} -m nbgrader", command)
        command = re.sub(r"^python\b", sys.executable, command)
        done = subprocess.run(command, shell=True, cwd=folder, env=environment, capture_output=True, text=True)
        assert done.returncode == 0, f"`{command}` exits with {done.returncode}:\n{done.stderr[-2000:]}"
        ran.append(command)
    assert len(ran) >= 13
    grades = (folder / "grades.csv").read_text()
    assert "03_kv_cache,2026-12-04 18:00:00," in grades and "Lovelace" in grades
    assert (tmp_path / "class" / "feedback" / "ada" / "03_kv_cache" / "03_kv_cache.html").exists()
    changed = subprocess.run(["git", "status", "--porcelain", "notebooks"], cwd=folder, capture_output=True, text=True)
    assert not changed.stdout, "generate_assignment made another notebook than the released one"


def test_the_formgrader_is_installed():
    listed = subprocess.run(
        [sys.executable, "-m", "jupyter", "server", "extension", "list"], capture_output=True, text=True
    )
    assert re.search(r"nbgrader\.server_extensions\.formgrader\S* .*enabled", listed.stdout + listed.stderr)


def test_the_late_policy_of_the_guide_works(tmp_path):
    [code] = re.findall(r"^```python\n(.*?)^```", GUIDE, re.M | re.S)
    (tmp_path / "late.py").write_text("c = get_config()\n" + code)
    config = PyFileConfigLoader("late.py", path=str(tmp_path)).load_config()
    plugin = config.AssignLatePenalties.plugin_class()
    assert plugin.late_submission_penalty("ada", 40, 3600) == pytest.approx(4)
    assert plugin.late_submission_penalty("ada", 40, 86_401) == pytest.approx(8)
    assert plugin.late_submission_penalty("ada", 40, 86_400 * 30) == 40


def test_the_saved_audit_names_every_exercise():
    wanted = []
    for path in sorted((ROOT / "solutions").glob("*/*.py")):
        cells, _ = split_cells(path.read_text(encoding="utf-8"))
        wanted += [(path.stem, cell.name) for cell in cells if cell.kind == "solution"]
    saved = json.loads((ROOT / "autograder" / "audit_table.json").read_text(encoding="utf-8"))
    missing = set(wanted) - {(line["topic"], line["exercise"]) for line in saved}
    assert not missing, f"run `python -m autograder audit --save {' '.join(sorted({name for name, _ in missing}))}`"
    assert len(saved) == len(wanted), "the saved audit has lines of exercises that are gone: save it again"


def test_the_tables_show_what_the_scripts_say():
    table = tables.exercise_table("03_kv_cache")
    assert re.search(r"^\| `kv_bytes_per_token` \| ★ \| 10 \| 3 \| (\d+)/\1 \|", table, re.M), table
    rows = tables.exercises()
    last = tables.topic_table().split("\n")[-1]
    assert f"| {len(rows)} | {sum(row['minutes'] for row in rows)} | {sum(row['points'] for row in rows)} |" in last


def test_the_words_around_the_tables_count_what_is_saved(tmp_path, monkeypatch):
    lines = [{"wrong": 5, "wrong_caught": 4, "right": 3, "right_kept": 3}, {"topic": "not audited"}]
    monkeypatch.setattr(tables, "exercises", lambda root: lines)
    assert tables.audit_words().startswith(
        "Of 5 wrong answers 1 keep all points (false accepts); of 3 right ones 0 lose"
    )
    assert tables.hostile_table(tmp_path) == "No run of it has been recorded."
    cases = [("marks/a", []), ("marks/b", ["zero instead of one"]), ("lost/c", [])]
    (tmp_path / "autograder").mkdir()
    saved = {"outcomes": [{"case": case, "misses": misses} for case, misses in cases]}
    (tmp_path / "autograder" / "hostile_table.json").write_text(json.dumps(saved))
    table = tables.hostile_table(tmp_path)
    assert "| marks without work | 2 | 1 |" in table and "| **all** | 3 | 2 |" in table


def test_the_cost_tables_compute_what_they_say():
    wall = {(0, "landlock"): (40, 60), (2, "landlock"): (20, 25), (0, "trusted"): (30, 30), (2, "trusted"): (15, 20)}
    runs = [
        {"jobs": jobs, "jail": jail, "wall_s": seconds[turn], "cpu_s": 10, "load": 1 + turn}
        for turn in range(2)
        for (jobs, jail), seconds in wall.items()
    ]
    saved = {"runs": runs, "students": 10, "jobs": 2, "jail": "landlock", "own_s": 0.05, "date": "2026-11-21"}
    saved |= {"graded_bytes": 100_000, "gradebook_bytes": 10_000, "machine": {"cores": 2, "system": "Linux"}}
    row = next(line for line in tables.cost_table(saved).split("\n") if "landlock" in line)
    assert "| 5.00 (4.00 to 6.00) | 2.25 (2.00 to 2.50) | 2.20 (2.00 to 2.40) |" in row
    plan = tables.plan_table(saved, 1000)  # 2.25 s with 2 processes: 4.5 s of one process
    assert "| 1 of 2 cores | `--jobs 2` | 38 min |" in plan and "| 1 of 16 cores | `--jobs 16` | 5 min |" in plan
    assert "| 32 of 16 cores | `--dask` | 1 min |" in plan, "one coordinator cannot go below its own time"
    assert "load of 1.0 to 2.0" in tables.cost_words(saved) and "2 rounds of 10" in tables.cost_words(saved)
    assert "keeps about 90 graders" in tables.plan_words(saved) and "takes 0.1 GB" not in tables.plan_words(saved)


def test_the_saved_costs_are_of_every_way():
    saved = costs.load()
    for jail in {saved["jail"], "trusted"}:
        for jobs in (0, saved["jobs"]):
            assert len(tables.seconds_each(saved, jobs, jail)) == len(saved["runs"]) // 4 >= 1
    assert saved["jail"] != "trusted" and saved["students"] >= 8


def test_a_saved_audit_keeps_other_lines(tmp_path):
    script = tmp_path / "solutions" / "01_x" / "01_x.py"
    script.parent.mkdir(parents=True)
    script.write_text('# %% solution="f"\npass\n# %% solution="g"\npass\n')
    (tmp_path / "autograder").mkdir()
    save([Row("01_x", "g", wrong=2, wrong_caught=2), Row("01_x", "gone")], tmp_path)
    save([Row("01_x", "f", wrong=3, wrong_caught=1)], tmp_path)
    saved = json.loads((tmp_path / "autograder" / "audit_table.json").read_text())
    assert [(line["exercise"], line["wrong_caught"], line["wrong"]) for line in saved] == [("f", 1, 3), ("g", 2, 2)]
    save([Row("01_x", "f", is_sampled=True), Row("01_x", "g", faults=["mutant survives"])], tmp_path)
    assert json.loads((tmp_path / "autograder" / "audit_table.json").read_text()) == saved
