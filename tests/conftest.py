"""Fixtures that several test files share. The real model is fetched once, by pip; without it its tests are skipped."""

import os
import subprocess
import sys
import threading
from pathlib import Path

import pytest
import warm
from filelock import FileLock
from hypothesis import settings
from jailed import need_jail
from visit import serving

settings.register_profile("course", deadline=None, derandomize=True)  # no clock and no draw of luck fails a test
settings.load_profile("course")

ROOT = Path(__file__).resolve().parents[1]
LONG_FIRST = (
    "test_outside_late", "test_outside_early", "test_hostile", "test_audit", "test_sandbox", "test_intake",
    "test_live", "test_axe", "test_book", "test_grading", "test_assignments", "test_grade", "test_greedy_equality",
    "test_doctor", "test_regrade", "test_instructor_guide", "test_cpu_kernels", "test_outside_grading",
    "test_formgrader", "test_feedback", "test_kv_pages", "test_grammar", "test_cli", "test_parallel", "test_fleet",
    "test_server", "test_model", "test_outside",
)  # fmt: skip


def pytest_collection_modifyitems(items):
    """The longest files first, so that no process is left alone with one at the end."""
    order = {stem: number for number, stem in enumerate(LONG_FIRST)}
    items.sort(key=lambda item: order.get(Path(item.fspath).stem, len(order)))


def pytest_collection_finish():
    """From here on nbgrader's commands start in a moment, and its gradebooks too."""
    if "autograder.grading.course" in sys.modules:
        from autograder.grading import course, schema

        course.run = warm.run
        schema.install()


def pytest_sessionstart(session):
    """Fetch the real model before any test asks whether it is there, and start on the book, for which many wait.

    The worker processes leave both to their parent, and let the book's build go before them.
    """
    if hasattr(session.config, "workerinput"):
        os.nice(4)
        return
    from mini_engine.files.fetch import ModelUnavailable, fetch_gguf

    try:
        fetch_gguf()
    except ModelUnavailable as error:
        print(f"note: the tests of the real model are skipped: {error}")
    tests_all = session.config.args_source is pytest.Config.ArgsSource.TESTPATHS
    if tests_all and session.config.getoption("numprocesses", None):
        threading.Thread(target=build_book_once, daemon=True).start()


def build_book_once():
    """Build the book where it is missing or older than its sources, one process for all. Returns the ended command."""
    (ROOT / "_build").mkdir(exist_ok=True)
    with FileLock(ROOT / "_build" / ".lock"):
        # threads as for a reader, but beside busy neighbours: those that wait must not turn in a loop
        environment = {name: value for name, value in os.environ.items() if name != "OMP_NUM_THREADS"}
        environment["OMP_WAIT_POLICY"] = "passive"
        command = [sys.executable, "book/tools/build_book.py", "--if-stale"]
        return subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True)


@pytest.fixture(scope="session")
def smollm2():
    """(config, weights) of the real model."""
    from mini_engine.weights import ModelUnavailable, load_smollm2

    try:
        return load_smollm2()
    except ModelUnavailable as error:
        pytest.skip(f"the real model is not to be had here: {error}")


@pytest.fixture(scope="session")
def smollm2_model(smollm2):
    """The torch engine with the real weights, float32."""
    from mini_engine.model import Llama

    return Llama(*smollm2)


@pytest.fixture(scope="session")
def smollm2_tokenizer(smollm2):
    from mini_engine.tokenizer import load_smollm2_tokenizer

    return load_smollm2_tokenizer()


@pytest.fixture(scope="module", params=["bubblewrap", "landlock"])
def mode(request):
    """Each kind of jail that this machine can make."""
    need_jail(request.param)
    return request.param


CHROMIUM_FLAGS = [
    "--no-sandbox",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]


@pytest.fixture(scope="session")
def book():
    """The folder of the built book."""
    done = build_book_once()
    assert done.returncode == 0, f"the book does not build: {done.stdout[-3000:]}{done.stderr[-3000:]}"
    return ROOT / "_build" / "html"


@pytest.fixture(scope="module")
def site(book):
    """The address at which the built book is served."""
    from book.tools import serve

    with serving(serve.make_server(book, 0)) as address:
        yield address


@pytest.fixture(scope="module")
def start_chromium():
    """A function that starts headless Chromium, of the system, with flags; all are closed at the end of the file.

    For one file, because its event loop stands in the way of others.
    """
    from book.tools.print_book import find_chromium

    program = find_chromium()
    if program is None:
        pytest.skip("no Chromium: the pages are NOT checked. As root on Debian: apt-get install chromium")
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        started = []

        def start(*flags):
            started.append(playwright.chromium.launch(executable_path=program, args=[*CHROMIUM_FLAGS, *flags]))
            return started[-1]

        yield start
        for each in started:
            each.close()


@pytest.fixture(scope="module")
def browser(start_chromium):
    """Headless Chromium without a GPU."""
    return start_chromium("--disable-gpu")
