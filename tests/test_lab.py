"""JupyterLab as `make lab` starts it: what a student finds, and what is left of the file afterwards."""

import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

import nbformat
import pytest

ROOT = Path(__file__).resolve().parents[1]
TOPIC, NAME = "03_kv_cache", "kv_bytes_per_token"
NOTEBOOK = Path("notebooks", TOPIC, f"{TOPIC}.ipynb")


@pytest.fixture(scope="module")
def lab(tmp_path_factory):
    """(address with its token, folder) of a running `make lab`, which has the Makefile, tools/lab and one notebook."""
    if not shutil.which("make"):
        pytest.skip("no make")
    folder = tmp_path_factory.mktemp("lab")
    shutil.copy(ROOT / "Makefile", folder)
    for part in ("tools/lab", NOTEBOOK.parent):
        shutil.copytree(ROOT / part, folder / part, ignore=shutil.ignore_patterns(".*"))
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    own = {f"JUPYTER_{kind}_DIR": str(folder / kind) for kind in ("CONFIG", "DATA", "RUNTIME")}
    asked = {"JUPYTER_PORT": str(port), "JUPYTER_TOKEN": "student", "BROWSER": "true", "PYTHONPATH": str(ROOT)}
    with open(folder / "log", "wb") as log:
        command = ["make", "lab", f"VENV={sys.prefix}", "-o", f"{sys.prefix}/.ready"]
        environment = {**os.environ, **own, **asked}
        server = subprocess.Popen(command, cwd=folder, env=environment, stdout=log, stderr=log, start_new_session=True)
    try:
        for _ in range(600):
            assert server.poll() is None, (folder / "log").read_text()[-3000:]
            try:
                urllib.request.urlopen(f"http://127.0.0.1:{port}/api?token=student")
                break
            except OSError:
                time.sleep(0.1)
        yield f"http://127.0.0.1:{port}/lab/tree/{TOPIC}/{TOPIC}.ipynb?token=student", folder
    finally:
        os.killpg(server.pid, signal.SIGTERM)
        server.wait(30)


@pytest.fixture
def page(lab, browser):
    """The notebook, opened, its kernel waiting."""
    context = browser.new_context(viewport={"width": 1280, "height": 900})
    context.set_default_timeout(120_000)
    page = context.new_page()
    page.goto(lab[0])
    page.locator(".jp-Notebook .jp-Cell").first.wait_for()
    page.locator("#jp-main-statusbar").get_by_text(re.compile("Idle")).wait_for()
    page.wait_for_timeout(1500)  # for what JupyterLab does once it knows the kernel
    yield page
    context.close()


def is_changed(page):
    return page.locator(".lm-DockPanel-tabBar .jp-mod-dirty").count() > 0


def test_a_notebook_opens_unchanged_and_without_what_is_for_instructors(lab, page):
    assert not is_changed(page), "marked as changed before anything was typed: it would be saved by itself"
    assert page.locator(".jp-Dialog, .jp-toast").count() == 0, "the first start asks something"
    shown = page.locator("body").inner_text()
    for word in ("Nbgrader", "Create Assignment", "Formgrader"):
        assert word not in shown
    folded = page.locator(".jp-InputPlaceholder").all_inner_texts()
    assert [text.strip() for text in folded[:2]] == [
        "# Set-up: run this cell first (Shift+Enter).",
        f"# Visible checks of {NAME}, 1 of 3 points: Shift+Enter runs them.",
    ]


def test_shift_enter_runs_folded_cells_and_a_saved_file_holds_only_the_students_work(lab, page):
    release = nbformat.read(ROOT / NOTEBOOK, as_version=4)
    page.locator(".jp-Notebook h1").first.click()
    for _ in range(2):  # the title, then the set-up below it
        page.keyboard.press("Shift+Enter")
        page.wait_for_timeout(500)
    right = "    return 2 * config.num_hidden_layers * config.num_key_value_heads * config.head_dim * int(bytes_per)"
    answer = f"def {NAME}(config, bytes_per=2):\n    if bytes_per <= 0:\n        raise ValueError(bytes_per)\n{right}"
    page.locator(".cm-content", has_text=f"def {NAME}").first.click()
    page.keyboard.press("ControlOrMeta+a")
    page.keyboard.insert_text(answer)
    for _ in range(3):  # the answer, the try-it cell, the folded checks
        page.keyboard.press("Shift+Enter")
        page.wait_for_timeout(500)
    passed = f"Passed: the visible checks of {NAME}, 1 of 3 points."
    page.locator(".jp-OutputArea-output", has_text=passed).wait_for()
    assert is_changed(page)
    page.keyboard.press("ControlOrMeta+s")
    page.locator(".lm-DockPanel-tabBar .jp-mod-dirty").wait_for(state="detached")
    saved = nbformat.read(lab[1] / NOTEBOOK, as_version=4)
    nbformat.validate(saved)
    assert saved.metadata == release.metadata, "a file must not say which Python ran it: git would see a change"
    assert [cell.metadata for cell in saved.cells] == [cell.metadata for cell in release.cells]
    changed = [cell.id for cell, old in zip(saved.cells, release.cells, strict=True) if cell.source != old.source]
    assert changed == [NAME]


def test_binder_starts_jupyterlab_as_make_lab_does():
    command = [ROOT / ".binder" / "start", "printenv", "JUPYTER_CONFIG_PATH"]
    done = subprocess.run(command, cwd=ROOT, env={"PATH": os.environ["PATH"]}, capture_output=True, text=True)
    assert done.stdout == f"{ROOT / 'tools' / 'lab'}\n"
    assert "JUPYTER_CONFIG_PATH=$(CURDIR)/tools/lab " in (ROOT / "Makefile").read_text()
