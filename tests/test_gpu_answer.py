"""The model on the reader's GPU, in the page: Chromium's software device, and the small model from the server."""

import shutil
import urllib.error
import urllib.request
from pathlib import Path

import numpy as np
import pytest
from visit import serving

from book.tools import serve, served_model
from book.tools.served_model import MAX_TOKENS, ServedModel
from mini_engine.cpu.model import CompiledLlama
from mini_engine.generate import generate
from mini_engine.loading import CharTokenizer
from mini_engine.weights import load_tiny

STATIC = Path(__file__).parents[1] / "book" / "_static"
PAGE = """<!doctype html><html data-content_root="./"><title>t</title><link rel="icon" href="data:,">
<div class="gpu-answer"></div><svg><text data-rate="memory"></text></svg>
<script src="gpu-decoder.js"></script><script src="gpu-answer.js"></script>"""
SOFTWARE_GPU = ["--enable-unsafe-webgpu", "--use-webgpu-adapter=swiftshader", "--enable-features=Vulkan"]
# the weights never come, until the reader cancels
STUCK = """() => {
  window.whole = window.fetch;
  window.fetch = (url, options) => String(url).endsWith("weights.bin")
    ? new Promise((_, fail) => options.signal.addEventListener("abort", () => fail(options.signal.reason)))
    : window.whole(url, options);
}"""
# the loaded decoder in window.decoder
KEEP = """() => {
  const load = window.GpuDecoder.load;
  window.GpuDecoder.load = async (...all) => (window.decoder = await load.apply(window.GpuDecoder, all));
}"""
WAIT_MS = 120_000  # a busy machine, a GPU in software


@pytest.fixture(scope="module")
def address(tmp_path_factory):
    """Where a page with the panel is served, with the small model."""
    folder = tmp_path_factory.mktemp("site")
    (folder / "index.html").write_text(PAGE)
    for name in ("gpu-decoder.js", "gpu-answer.js"):
        shutil.copyfile(STATIC / name, folder / name)
    with serving(serve.make_server(folder, 0, model="tiny")) as address:
        yield f"{address}/"


@pytest.fixture(scope="module")
def with_gpu(start_chromium):
    return start_chromium(*SOFTWARE_GPU)


@pytest.fixture
def panel(with_gpu, address):
    """The panel of a fresh page; a request to anywhere else fails the test."""
    page = with_gpu.new_page()
    page.set_default_timeout(WAIT_MS)
    requests, complaints = [], []
    page.on(
        "request", lambda request: None if request.url.startswith((address, "data:")) else requests.append(request.url)
    )
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.goto(address)
    box = page.locator(".gpu-answer")
    box.get_by_text("on your own GPU").wait_for()
    yield box
    page.close()
    assert not complaints and all(url.startswith((address, "data:")) for url in requests)


def expected(question, num_new):
    config, weights = load_tiny()
    ids = CharTokenizer().apply_chat_template([{"role": "user", "content": question}])
    return CharTokenizer().decode(generate(CompiledLlama(config, weights, "int8"), ids, num_new))


def test_the_page_writes_what_the_cpu_engine_writes(panel):
    """The prompt is longer than one pass of prefill; the second answer starts from a used cache."""
    panel.get_by_role("button", name="Load").click()
    panel.locator("form").wait_for()
    assert "22 kernels a step" in panel.locator(".gpu-say").inner_text()
    assert "yours: " in panel.page.locator("[data-rate]").text_content(), "the drawing shows no number of this GPU"
    for question in ("Why does a cache help, and what does it cost?", "Why?"):
        panel.locator("input").fill(question)
        panel.get_by_role("button", name="Ask").click()
        written = "text => document.querySelector('.demo-answer').textContent === text"
        panel.page.wait_for_function(written, arg=expected(question, 64))
        panel.get_by_text("64 tokens on").wait_for()
        table = panel.locator(".gpu-figures").inner_text()
        for words in ("copies of 64 MiB", "to the GPU", "predicted", "measured", "tokens/s", "recording one step"):
            assert words in table


def test_a_load_can_be_cancelled_and_started_again(panel):
    page = panel.page
    page.evaluate(STUCK)
    panel.get_by_role("button", name="Load").click()
    panel.get_by_role("button", name="Cancel").click()
    panel.get_by_text("Cancelled.").wait_for()
    page.evaluate("() => { window.fetch = window.whole; }")
    panel.get_by_role("button", name="Load").click()
    panel.locator("form").wait_for()


@pytest.mark.parametrize(
    "code, body, says",
    [(404, "", "published without them"), (503, "the model is not cached", "the model is not cached")],
)
def test_a_copy_without_the_weights_says_so(panel, code, body, says):
    panel.page.route("**/_model/**", lambda route: route.fulfill(status=code, body=body))
    panel.get_by_role("button", name="Load").click()
    panel.get_by_text(says).wait_for()
    assert panel.get_by_role("button", name="Load").is_enabled()


def test_a_lost_gpu_is_one_sentence_and_can_be_loaded_again(panel):
    page = panel.page
    page.evaluate(KEEP)
    panel.get_by_role("button", name="Load").click()
    panel.locator("form").wait_for()
    page.evaluate("() => window.decoder.device.destroy()")
    panel.get_by_role("button", name="Ask").click()
    panel.get_by_text("The GPU was lost").wait_for()
    panel.get_by_role("button", name="Load").click()
    panel.locator("form").wait_for()


def test_without_a_gpu_the_panel_says_why(start_chromium, address):
    page = start_chromium("--disable-gpu", "--disable-features=WebGPU").new_page()
    page.goto(address)
    page.get_by_text("recorded answer").wait_for()
    assert not page.get_by_role("button", name="Load").is_visible()


def test_the_server_hands_out_the_whole_model(address):
    config, _ = load_tiny()
    plan_type, (plan,) = ServedModel("tiny").answer("plan.json")
    with urllib.request.urlopen(f"{address}_model/weights.bin") as answer:
        data = answer.read()
    tensors = ServedModel("tiny")._plan["tensors"]
    assert plan_type == "application/json" and b"@compute" in plan
    assert len(data) == sum(size for _, size in tensors) and tensors[0] == ["embedding", 4 * 512 * config.hidden_size]
    np.testing.assert_array_equal(
        np.frombuffer(data[: tensors[0][1]], np.float32).reshape(512, -1), load_tiny()[1]["embedding"]
    )
    assert ["cos", 4 * MAX_TOKENS * config.head_dim // 2] in tensors
    with pytest.raises(urllib.error.HTTPError, match="404"):
        urllib.request.urlopen(f"{address}_model/other")


def test_without_the_model_the_server_says_so_and_asks_no_network(tmp_path, monkeypatch):
    monkeypatch.setattr(served_model, "smollm2_is_cached", lambda: False)
    monkeypatch.setattr(served_model, "load_parts", lambda name: pytest.fail("it would be fetched"))
    serve.served_model.cache_clear()
    with serving(serve.make_server(tmp_path, 0)) as address, pytest.raises(urllib.error.HTTPError) as caught:
        urllib.request.urlopen(f"{address}/_model/plan.json")
    assert caught.value.code == 503 and b"generate Hello fetches it" in caught.value.read()
