"""Marking by hand in nbgrader's formgrader, started as an instructor starts it; nothing of a student runs there.

One class of two assignments: one of the course's own with written answers, and the small one with a hostile student.
"""

import contextlib
import csv
import json
import os
import re
import shutil
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.parse
import urllib.request
from pathlib import Path

import pytest
from nbgrader.api import Gradebook
from small_course import NAMES, TOPIC, make_course, right

from autograder.grading import course, regrade
from autograder.results import lms

pytestmark = pytest.mark.filterwarnings("ignore:Non-unique cell id")
ROOFLINE = "04_flops_and_roofline"
WRITTEN = "answer_decode_starves"
COMMENT = "Say <b>where</b> the bytes come from."
EVE = "eve<img src=x onerror=evil()>"
EVE_ID = "eve_img src=x onerror=evil()_"
EVIL = """<script>evil()</script> <img src=x onerror=evil()> [x](javascript:evil()) [y][z] <b>bold</b> a<b and b>c
<a href="javascript:evil()">x</a> <svg onload=evil()><circle r="9"></svg> <input id="test_half" class="score" value="3">
<iframe srcdoc="<script>parent.evil()</script>"></iframe> <style>body{display:none}</style> <x onclick=evil()>

# test_half

[z]: javascript:evil()
"""
SHOWS_EVIL = f"""
from IPython.display import display
EVIL = {EVIL!r}
for kind in ("text/html", "text/markdown", "text/latex", "image/svg+xml", "application/javascript", "text/vnd.mermaid"):
    display({{kind: EVIL, "text/plain": "shown " + kind}}, raw=True)
display({{"application/javascript": "evil()"}}, raw=True)
display({{"text/html": "<script>evil()</script>framed"}}, raw=True, metadata={{"text/html": {{"isolated": True}}}})
pixel = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
display({{"image/png": pixel}}, raw=True, metadata={{"image/png": {{"width": "9 onload=evil()"}}}})
widget = {{"model_id": "</script><script>evil()</script>", "version_major": 2, "version_minor": 0}}
display({{"application/vnd.jupyter.widget-view+json": widget}}, raw=True)
print(EVIL)
"""


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    root = make_course(tmp_path_factory.mktemp("course"))
    for folder in ("solutions", "notebooks"):
        shutil.copytree(course.ROOT / folder / ROOFLINE, root / folder / ROOFLINE)
    return root


@pytest.fixture(scope="module")
def work(root, tmp_path_factory):
    """The class, graded by `nbgrader autograde`: nothing is marked by hand yet."""
    os.environ.setdefault("COURSE_JAIL", "trusted")  # what is hostile here acts in the browser
    folder = tmp_path_factory.mktemp("class")
    words = {cell: f"My words on {cell}." for cell in ("answer_batching", WRITTEN)}  # the rest stays as released
    course.hand_in(folder, "ada", ROOFLINE, course.submission(ROOFLINE, words, root))
    evil = {NAMES[0]: SHOWS_EVIL + right(NAMES[0]), NAMES[1]: right(NAMES[1]), "answer_why": EVIL}
    course.hand_in(folder, EVE, TOPIC, course.submission(TOPIC, evil, root))
    course.hand_in(folder, EVE, TOPIC, "<script>evil()</script>", name="feedback.html")
    for assignment in (ROOFLINE, TOPIC):
        course.nbgrader("autograde", assignment, work=folder, root=root)
    return folder


class Server:
    """JupyterLab, started in `folder`; `get` and `send` talk to the formgrader and raise for every HTTP error."""

    def __init__(self, folder, root, work, scratch):
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        self.address = f"http://127.0.0.1:{port}"
        own = {f"JUPYTER_{kind}_DIR": str(scratch / kind) for kind in ("CONFIG", "DATA", "RUNTIME")}
        environment = {**os.environ, **own, "COURSE_WORK": str(work), "PYTHONPATH": str(root)}
        options = ["--no-browser", "--allow-root", f"--port={port}", "--port-retries=0", "--IdentityProvider.token="]
        self.log = scratch / "log"
        with open(self.log, "wb") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "jupyterlab", *options], cwd=folder, env=environment, stdout=log, stderr=log
            )

    def wait_until_up(self):
        for _ in range(600):
            with contextlib.suppress(OSError):
                return self.get("/api/status")
            assert self.process.poll() is None, self.log.read_text()[-3000:]
            time.sleep(0.1)
        raise AssertionError(self.log.read_text()[-3000:])

    def get(self, path):
        try:
            with urllib.request.urlopen(self.address + path, timeout=120) as answer:
                return answer.read().decode()
        except urllib.error.HTTPError as error:
            raise AssertionError(f"{path}: {error}\n{self.log.read_text()[-3000:]}") from None

    def ask(self, path):
        return json.loads(self.get(f"/formgrader/api/{path}"))

    def send(self, method, path, **content):
        """As the page sends it: with the cookie against forged requests that any page of Jupyter sets."""
        with urllib.request.urlopen(f"{self.address}/formgrader") as page:
            cookies = "; ".join(cookie.partition(";")[0] for cookie in page.headers.get_all("Set-Cookie"))
        headers = {"Cookie": cookies, "X-XSRFToken": re.search(r"_xsrf=([^;]+)", cookies)[1]}
        address, data = f"{self.address}/formgrader/api/{path}", json.dumps(content).encode()
        asked = urllib.request.Request(address, data, headers, method=method)
        with urllib.request.urlopen(asked, timeout=300) as answer:
            return json.loads(answer.read())

    def submission(self, assignment, student):
        found = self.ask(f"submitted_notebooks/{assignment}/{assignment}")
        return next(entry["id"] for entry in found if entry["student"] == student)


@contextlib.contextmanager
def running(folder, *arguments):
    server = Server(folder, *arguments)
    try:
        server.wait_until_up()
        yield server
    finally:
        server.process.terminate()
        server.process.wait(20)


@pytest.fixture(scope="module", params=["the root", "autograder/"])
def server(request, root, work, tmp_path_factory):
    folder = root if request.param == "the root" else root / "autograder"
    with running(folder, root, work, tmp_path_factory.mktemp("jupyter")) as found:
        yield found


def test_every_page_opens(server):
    quoted = urllib.parse.quote
    for student, assignment in (("ada", ROOFLINE), (EVE_ID, TOPIC)):
        found = server.submission(assignment, student)
        assert {entry["name"] for entry in server.ask("assignments")} == {ROOFLINE, TOPIC}
        for path in (
            "", "/manage_assignments", f"/manage_submissions/{assignment}", "/gradebook", f"/gradebook/{assignment}",
            f"/gradebook/{assignment}/{assignment}", "/manage_students", f"/manage_students/{quoted(student)}",
            f"/manage_students/{quoted(student)}/{assignment}", f"/submissions/{found}/", f"/submissions/{found}/next",
        ):  # fmt: skip
            assert "nbgrader" in server.get(f"/formgrader{path}")
        for path in (
            f"notebooks/{assignment}", f"submissions/{assignment}", f"comments?submission_id={found}", "students",
            f"student_submissions/{quoted(student)}", f"student_notebook_submissions/{quoted(student)}/{assignment}",
        ):  # fmt: skip
            assert server.ask(path), path
        page = server.get(f"/formgrader/submissions/{found}/")
        for grade in server.ask(f"grades?submission_id={found}"):
            assert f'class="score tabbable" id="{grade["name"]}"' in page, "no box for its points"
    page = server.get(f"/formgrader/submissions/{server.submission(ROOFLINE, 'ada')}/")
    assert f"My words on {WRITTEN}." in page and "Submission 1 / 1" in page


def mark(server, points, comment):
    """Gives points and a comment on ada's written answer, as the page's script sends them."""
    found = server.submission(ROOFLINE, "ada")
    grade = next(grade for grade in server.ask(f"grades?submission_id={found}") if grade["name"] == WRITTEN)
    note = next(note for note in server.ask(f"comments?submission_id={found}") if note["name"] == WRITTEN)
    assert server.send("PUT", f"grade/{grade['id']}", manual_score=points)["manual_score"] == points
    assert server.send("PUT", f"comment/{note['id']}", manual_comment=comment)["manual_comment"] == comment


def check_mark(work, points, comment):
    """The mark is in the gradebook, the comment in the feedback, both count in the LMS's file."""
    scores = course.grades(work, ROOFLINE)["ada"]
    assert scores[WRITTEN] == points and scores["answer_batching"] is None and scores["answer_inference_cost"] == 0
    with Gradebook(course.database(work)) as gradebook:
        assert gradebook.find_comment(WRITTEN, ROOFLINE, ROOFLINE, "ada").comment == comment
    page = (work / "feedback" / "ada" / ROOFLINE / f"{ROOFLINE}.html").read_text(encoding="utf-8")
    assert comment.replace("<", "&lt;").replace(">", "&gt;") in page and f"{points} of 3 points" in page
    lms.write(work, ROOFLINE, "canvas", work, partial=True)
    rows = {row["SIS Login ID"]: row for row in csv.DictReader((work / f"{ROOFLINE}_canvas.csv").open())}
    assert float(rows["ada"][ROOFLINE]) == sum(score or 0 for score in scores.values()) >= points


@pytest.mark.parametrize("points", [1.5, 2.5])
def test_a_mark_and_a_comment_arrive_everywhere(server, work, points):
    mark(server, points, COMMENT)
    assert server.send("POST", f"assignment/{ROOFLINE}/ada/generate_feedback")["success"]
    check_mark(work, points, COMMENT)


@pytest.mark.parametrize("server", ["the root"], indirect=True)
def test_both_survive_a_regrade(server, root, work):
    """By the course's command the mark stands; by the formgrader's button it stays, and waits for another look."""
    mark(server, 2, COMMENT)
    regrade.regrade(work, ROOFLINE, root=root)
    assert server.send("POST", f"assignment/{ROOFLINE}/ada/generate_feedback")["success"]
    check_mark(work, 2, COMMENT)
    mark(server, 1, COMMENT)  # the formgrader had the gradebook open meanwhile
    assert course.grades(work, ROOFLINE)["ada"][WRITTEN] == 1
    assert server.send("POST", f"submission/{ROOFLINE}/ada/autograde")["success"]
    with Gradebook(course.database(work)) as gradebook:
        grade = gradebook.find_grade(WRITTEN, ROOFLINE, ROOFLINE, "ada")
        assert (grade.manual_score, grade.needs_manual_grade) == (1, True)
        assert gradebook.find_comment(WRITTEN, ROOFLINE, ROOFLINE, "ada").comment == COMMENT


@pytest.mark.parametrize("server", ["the root"], indirect=True)
def test_nothing_of_a_student_runs_in_the_browser(server, browser, work):
    """Every page that shows the hostile student, opened in Chromium with a function that counts its calls."""
    found = server.submission(TOPIC, EVE_ID)
    page, calls, asked = browser.new_page(), [], []
    page.expose_function("evil", lambda: calls.append(page.url))
    page.on("request", lambda request: asked.append(request.url))
    student = urllib.parse.quote(EVE_ID)
    for path in (
        f"submissions/{found}/", "manage_students", f"manage_students/{student}", f"manage_submissions/{TOPIC}",
        f"manage_students/{student}/{TOPIC}", f"gradebook/{TOPIC}/{TOPIC}",
    ):  # fmt: skip
        page.goto(f"{server.address}/formgrader/{path}")
        page.wait_for_load_state("load")
    page.goto(f"{server.address}/formgrader/submissions/{found}/")
    page.wait_for_function("formgrader.grades && formgrader.grades.loaded")
    if folder := os.environ.get("SCREENSHOTS"):
        page.screenshot(path=Path(folder, "formgrader.png"), full_page=True)
    text = page.inner_text("#notebook")
    assert "shown text/latex" in text and "bold" in text and "framed" in text, "the answer is not shown at all"
    assert "an output that only a browser could show" in text
    assert page.locator(".output_png img").count() == 1, "a picture is gone"
    assert "a<b and b>c" in page.locator(".nbgrader_cell .text_cell_render").last.inner_text(), "words are gone"
    for wrong in ("svg", "iframe", "#notebook style", ".output a", "[src=x]", ".output script", "[onload]"):
        assert page.locator(wrong).count() == 0, wrong
    assert page.locator("#test_half").count() == 1, "a student's element stands in the way of the box for points"
    page.locator("#answer_why").press_sequentially("1.5")
    with page.expect_response("**/api/grade/*") as sent:
        page.keyboard.press("Tab")
    assert sent.value.ok and course.grades(work, TOPIC)[EVE_ID]["answer_why"] == 1.5
    assert not calls and not [url for url in asked if url.endswith("/x")]
    page.close()


def test_a_web_page_of_a_student_is_set_aside(work):
    """The formgrader would serve it from Jupyter's own address, and the feedback folder would hold it."""
    assert not list(work.glob(f"*/{EVE_ID}/{TOPIC}/feedback.html"))
    assert list(work.glob(f"quarantine/{EVE_ID}/{TOPIC}/*feedback.html"))
