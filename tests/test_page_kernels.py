"""Exercises in WGSL in the page: Python in a worker runs kernels on the browser's WebGPU device, a software one."""

import json
import shutil
from pathlib import Path

import pytest
from visit import SLOW_MS, serving

from autograder.auditor.candidates import load_topic
from book._ext import live
from book.tools import serve, vendor

ROOT = Path(__file__).resolve().parents[1]
TOPIC = "14_gpu_lab"
SOFTWARE = ["--enable-unsafe-webgpu", "--use-webgpu-adapter=swiftshader"]
START = """async () => {
  window.worker = new SharedWorker("worker.js", { type: "module" }).port;
  const answer = new Promise((done) => { worker.onmessage = ({ data }) => done(data); });
  const at = (place) => location.origin + "/" + place;
  const start = { pyodide: at("vendor/pyodide/"), course: at("course.zip"), lock: at("pyodide-lock.json") };
  worker.postMessage({ start });
  return answer;
}"""
ASK = """(request) => new Promise((done) => {
  worker.onmessage = ({ data }) => done(data.answer || data);
  worker.postMessage({ id: 1, request });
})"""


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    """The address of what a page's worker needs, without the rest of the book."""
    if not vendor.python_is_present():
        pytest.skip(
            "book/_static/vendor has no Pyodide: kernels in the page are NOT checked. python -m book.tools.vendor"
        )
    folder = tmp_path_factory.mktemp("site")
    for name in ("worker.js", "kernels.js", "pyodide-lock.json"):
        shutil.copy(ROOT / "book" / "_static" / "live" / name, folder)
    (folder / "vendor").symlink_to(ROOT / "book" / "_static" / "vendor")
    (folder / "index.html").write_text("<!doctype html><title>worker</title>")
    live.write_course_zip(ROOT, folder / "course.zip")
    with serving(serve.make_server(folder, 0)) as address:
        yield f"{address}/index.html"


def answers(start_chromium, site, flags, attempts):
    """What the page says of each (exercise, code), in one browser."""
    topic, page = live.topic_data(ROOT, TOPIC), start_chromium(*flags).new_page()
    page.set_default_timeout(SLOW_MS)
    page.goto(site)
    assert page.evaluate(START) == {"ready": True}
    asked = [{"topic": topic, "name": name, "code": code, "action": "check", "answers": {}} for name, code in attempts]
    return [page.evaluate(ASK, json.dumps(request)) for request in asked]


def test_the_page_judges_kernels_as_the_visible_tests_do(start_chromium, site):
    _, banks, _ = load_topic(TOPIC, ROOT)
    entries = [entry for entry in live.topic_data(ROOT, TOPIC)["exercises"] if entry["live"]]
    names = [entry["name"] for entry in entries]
    assert names == ["int8_product", "rms_norm_kernel", "fold_and_join", "mended_softmax"]
    right = [(entry["name"], entry["solution"]) for entry in entries]
    right += [(name, answer.source) for name in names for answer in banks[name].right.values()]
    # a browser does not end a kernel that never ends; the page's Stop does
    caught = [(name, key, answer) for name in names for key, answer in banks[name].wrong.items() if key != "endless"]
    wrong = [(name, answer.source) for name, _, answer in caught if answer.check == "test"]
    unknown = "int8_product", right[0][1].replace("size.rows", "size.nosuch")
    *found, broken = answers(start_chromium, site, SOFTWARE, [*right, *wrong, unknown])
    assert not [answer["reason"] for answer in found[: len(right)] if not answer["passed"]]
    assert not [code for (_, code), answer in zip(wrong, found[len(right) :], strict=True) if answer["passed"]]
    assert broken["reason"].startswith("ShaderError: line 5: ") and "nosuch" in broken["reason"]


def test_without_webgpu_the_page_names_the_notebook(start_chromium, site):
    code = live.topic_data(ROOT, TOPIC)["exercises"][6]["solution"]
    (found,) = answers(start_chromium, site, ["--disable-gpu", "--disable-features=WebGPU"], [("int8_product", code)])
    assert not found["passed"] and "open the notebook" in found["reason"]
