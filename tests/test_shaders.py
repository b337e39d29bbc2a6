"""Exercises in WGSL: kernels of test cells run in a worker of their own, and what never ends costs its points only."""

import shutil

import numpy as np
import pytest
import small_course
from nbgrader.api import Gradebook

from autograder.assignment.script import read_script
from autograder.auditor.candidates import ROOT
from autograder.auditor.mutants import mutants
from autograder.grading import course, grade
from autograder.outside import devices, rounds, shaders
from autograder.scoring import Topic
from mini_engine.config import SMOLLM2_135M
from mini_engine.gpu.webgpu import plan
from mini_engine.gpu.webgpu.device import ShaderError

NAME = "14_gpu_lab"
HEAD = """
@group(0) @binding(0) var<storage, read> x: array<f32>;
@group(0) @binding(1) var<storage, read_write> y: array<f32>;
"""
DOUBLE = """
@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3<u32>) {
  if (id.x < 70u) { y[id.x] = 2.0 * x[id.x]; }
}
"""
ENDLESS = DOUBLE.replace("  if", "  loop { if (x[0] > 1.0e9) { break; } }\n  if")
COURSE = f'''
# %% setup=True
import numpy as np

HEAD = """{HEAD}"""


def run(text):
    """Run a kernel on 70 numbers."""
    from mini_engine.gpu.webgpu import device as webgpu

    x = np.arange(70, dtype=np.float32)
    return webgpu.open_device().run(text + HEAD, [x], [np.zeros(70, np.float32)], (2,))[0]
'''
EXERCISE = f'''
# %% [markdown] task="double" stars=1 minutes=5
# ## Double
#
# <details><summary>Hint 1</summary>
#
# Twice.
#
# </details>
# <details><summary>Hint 2</summary>
#
# Nearly code.
#
# </details>

# %% solution="double"
def double():
    """WGSL text."""
    ### BEGIN SOLUTION
    return """{DOUBLE}"""
    ### END SOLUTION

# %% tryit="double"
print(run(double())[1])

# %% test="double" points=1
def test_double():
    assert run(double())[1] == 2, "twice 1 is 2"


test_double()

# %% hidden="double" points=2
def hidden_double():
    assert list(run(double())) == [2 * i for i in range(70)], "of each number the double"


hidden_double()
'''


@pytest.fixture(scope="module")
def software():
    """Skips, and says so, where no kernel can be run as at grading."""
    why = devices.objection()
    if why:
        pytest.skip(why)


@pytest.fixture
def device(software):
    connection, _ = shaders.fork_worker(confined=True)
    yield shaders.RemoteDevice(lambda: connection)
    connection.close()


def run(device, text, workgroups=(2,)):
    x = np.arange(70, dtype=np.float32)
    return device.run(text + HEAD, [x], [np.zeros(70, np.float32)], workgroups)[0]


def test_a_confined_worker_runs_kernels_and_reports_errors_in_their_own_lines(device):
    assert np.array_equal(run(device, DOUBLE), 2 * np.arange(70))
    with pytest.raises(ShaderError, match="line 4: .*nosuch"):
        run(device, DOUBLE.replace("70u", "nosuch"))
    far = DOUBLE.replace("x[id.x]", "x[id.x + 90000000u]").replace("y[id.x]", "y[id.x + 80000000u]")
    assert run(device, far).shape == (70,), "reads and writes out of bounds end nothing"
    with pytest.raises(shaders.KernelLost, match="does every loop end"):
        run(device, ENDLESS)
    assert np.array_equal(run(device, DOUBLE), 2 * np.arange(70)), "the next kernel runs"


def test_a_kernel_that_keeps_the_device_busy_ends_the_worker_and_nothing_else(software, monkeypatch):
    monkeypatch.setattr(shaders, "CPU_S", 1)
    connection, _ = shaders.fork_worker(confined=True)
    slow = DOUBLE.replace("2.0 * x[id.x]", "x[0]").replace("if (id.x < 70u)", "for (var i = 0u; i < 50000u; i++)")
    with connection, pytest.raises(shaders.KernelLost, match="ran longer than"):
        run(shaders.RemoteDevice(lambda: connection), slow.replace("= x[0]", "+= sin(x[i % 70u])"), (60000,))


def test_every_loop_is_counted_and_nothing_else():
    text = "fn f() {\n  for (var i = 0u; i < g(2u); i += 1u) { h(); } // loop {\n  loop { break; }\n  while (a) {}\n}"
    found = rounds.counted(text, 7)
    assert found.count(rounds.COUNT) == 3 and "@binding(7)" in found
    assert found.startswith("fn f() {\n  for (var i = 0u; i < g(2u); i += 1u) {" + rounds.COUNT)
    assert "// loop {\n" not in found and found.count("\n") == text.count("\n") + 3


@pytest.mark.parametrize("end", rounds.LINE_ENDS)
def test_no_comment_hides_a_loop_from_the_count(end):
    """Each of these was a kernel that never ends and had all points."""
    for text in (f"// x{end} loop {{ }}", "/* /* */ // */ loop { }", "loop /* { */ { }", "loop // {\n { }"):
        found = rounds.counted(text, 7)
        assert found.count("{" + rounds.COUNT) == 1, text
    assert "course_rounds" not in rounds.COUNT, "a kernel that knows the name sets the count back"


def test_the_race_shows_every_time(device):
    cells = read_script(ROOT / "solutions" / NAME / f"{NAME}.py")
    topic = Topic(NAME, [cell for cell in cells if cell.kind == "setup"])
    rng = np.random.default_rng(7)
    for _ in range(20):
        x = rng.normal(size=64).astype(np.float32)
        text, sizes = (
            topic.shared["RACY_SOFTMAX"] + topic.shared["KERNELS"]["softmax"],
            np.array([1, 64, 0, 0], np.uint32),
        )
        (got,) = device.run(text, [x], [np.zeros(64, np.float32)], (1,), sizes)
        assert np.abs(got - np.exp(x) / np.exp(x).sum()).max() > 1e-4


def test_the_step_that_the_exercise_counts_is_the_engines():
    cells = read_script(ROOT / "solutions" / NAME / f"{NAME}.py")
    space = {}
    exec(next(cell.source for cell in cells if cell.kind == "solution" and cell.name == "step_traffic"), space)
    found, engine = space["step_traffic"](SMOLLM2_135M, 1), plan.make_plan(SMOLLM2_135M, 8, 1)
    assert found["launches"] == len(engine.layers) + len(engine.head) and found["weight_bytes"] == engine.weight_bytes


def test_mutants_of_a_kernel_are_small_slips():
    shader = "\nfn main() {\n  s = max(a, b) * c[0];\n  workgroupBarrier();\n}\n"
    source = f'def f():\n    """fn main() {{ x + 1u }}"""\n    return """{shader}"""\n'
    found = {mutant.change for mutant in mutants(source)}
    before = "s = max(a, b) * c[0];"
    wanted = ("min(a, b) * c[0]", "a * c[0]", "b * c[0]", "max(a, b)", "max(a, b) * c[1]")
    assert {f"{before} => s = {after};" for after in wanted} <= found and "workgroupBarrier(); => " in found


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    """A course of one exercise in WGSL and one in Python, with three who handed in."""
    plain = small_course.EXERCISE.replace("NAME", "half").replace("SCALE", "two")
    text = small_course.HEADER + COURSE + EXERCISE + plain
    root = small_course.make_course(tmp_path_factory.mktemp("course"), text)
    reference = course.reference_answers(small_course.TOPIC, root)
    endless = reference | {"double": f'def double():\n    return """{ENDLESS}"""\n'}
    for student, answers in (("ada", reference), ("ben", {}), ("eve", endless)):
        course.hand_in(root / "work", student, small_course.TOPIC, course.submission(small_course.TOPIC, answers, root))
    course.nbgrader("generate_assignment", small_course.TOPIC, work=root / "work", root=root)
    return root


def scores(root):
    with Gradebook(course.database(root / "work")) as gradebook:
        return {each.student.id: each.score for each in gradebook.assignment_submissions(small_course.TOPIC)}


def test_without_a_device_nothing_is_graded_and_the_package_is_named(root, tmp_path, monkeypatch):
    shutil.copytree(root, tmp_path / "bare")
    path = tmp_path / "bare" / "autograder" / "outside" / "shaders.py"
    path.write_text(path.read_text().replace('DRIVERS = "/usr/share/vulkan"', 'DRIVERS = "/nowhere"'))
    with pytest.raises(course.CommandFailed, match="so nothing is graded.*mesa-vulkan-drivers"):
        course.nbgrader("autograde", small_course.TOPIC, work=tmp_path / "bare" / "work", root=tmp_path / "bare")
    assert scores(tmp_path / "bare") == {}
    monkeypatch.setattr(devices, "objection", lambda: "no device here")
    with pytest.raises(grade.CannotGrade, match="no device here"):
        grade.grade(NAME, tmp_path)


def test_an_endless_kernel_costs_its_points_alone(software, root):
    course.nbgrader("autograde", small_course.TOPIC, work=root / "work", root=root)
    assert scores(root) == {"ada": 6, "ben": 0, "eve": 3}
