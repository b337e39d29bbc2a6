"""The HTTP server, driven by the openai client over a real socket; after every test nothing may be left behind."""

import concurrent.futures
import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from types import SimpleNamespace

import httpx
import openai
import pytest
import torch
import uvicorn

from mini_engine import loading
from mini_engine.bench.load_test import load_test
from mini_engine.commands.serve import bind
from mini_engine.engine import Engine
from mini_engine.sequence import SamplingParams
from mini_engine.serve.app import create_app
from mini_engine.serve.metrics import SNAPSHOT_METRICS, Metrics
from mini_engine.weights import smollm2_is_cached

NUM_BLOCKS = 200
TIMEOUT_S = 60


class Served:
    """A server in a thread of this process, its clients, and a look at its engine."""

    def __init__(self, model_name="tiny", max_requests=64, **engine_options):
        dtype = torch.float64 if model_name == "tiny" else torch.float32
        options = {"num_blocks": NUM_BLOCKS, "block_size": 8, "max_num_seqs": 16, **engine_options}
        self.engine = Engine(*loading.load(model_name, dtype=dtype), **options)
        sock = bind("127.0.0.1", 0)
        self.url = f"http://127.0.0.1:{sock.getsockname()[1]}"
        app = create_app(self.engine, model_name, max_requests)
        self.worker = app.state.worker
        self.server = uvicorn.Server(uvicorn.Config(app, log_level="error"))
        self.thread = threading.Thread(target=self.server.run, kwargs={"sockets": [sock]})
        self.thread.start()
        self.client = openai.OpenAI(base_url=f"{self.url}/v1", api_key="none", max_retries=0, timeout=TIMEOUT_S)

    def stop(self):
        self.server.should_exit = True
        self.thread.join(TIMEOUT_S)
        assert not self.thread.is_alive(), "the server does not stop"

    def assert_nothing_left(self):
        """Wait until the engine is idle; all blocks are available, no request is open, the invariants hold."""
        deadline = time.monotonic() + TIMEOUT_S
        idle = {"num_running": 0, "num_waiting": 0, "num_available_blocks": self.engine.block_manager.num_blocks}
        while not idle.items() <= self.worker.snapshot.items() or self.worker.num_open:
            assert time.monotonic() < deadline, f"left behind: {self.worker.snapshot}, {self.worker.num_open} open"
            time.sleep(0.01)
        self.engine.check_invariants()

    def metric(self, name):
        text = httpx.get(f"{self.url}/metrics").text
        return float(next(line.split()[1] for line in text.splitlines() if line.startswith(f"mini_engine_{name} ")))


@pytest.fixture(scope="module")
def module_server():
    served = Served()
    yield served
    served.stop()


@pytest.fixture
def served(module_server):
    yield module_server
    module_server.assert_nothing_left()


def plain(served, prompt, num):
    """What an engine of its own writes, greedily, for this prompt alone."""
    engine = Engine(served.engine.model, served.engine.tokenizer, num_blocks=NUM_BLOCKS, block_size=8)
    return engine.generate([prompt], SamplingParams(max_tokens=num))[0].text


def test_completion_whole_and_streamed(served):
    create = served.client.completions.create
    whole = create(model="tiny", prompt="Hello", max_tokens=12, temperature=0)
    assert whole.choices[0].text == plain(served, "Hello", 12)
    assert whole.choices[0].finish_reason == "length" and whole.object == "text_completion"
    assert (whole.usage.prompt_tokens, whole.usage.completion_tokens, whole.usage.total_tokens) == (5, 12, 17)
    options = {"include_usage": True}
    chunks = list(
        create(model="tiny", prompt="Hello", max_tokens=12, temperature=0, stream=True, stream_options=options)
    )
    assert "".join(c.choices[0].text for c in chunks[:-1]) == whole.choices[0].text
    assert [c.choices[0].finish_reason for c in chunks[:-1]] == [None] * (len(chunks) - 2) + ["length"]
    assert len(chunks) > 6, "a stream of 12 tokens comes in several pieces"
    assert chunks[-1].usage.total_tokens == 17 and chunks[-1].choices == []
    ids = create(model="tiny", prompt=[72, 101, 108, 108, 111], max_tokens=12, temperature=0)
    assert ids.choices[0].text == whole.choices[0].text
    assert len(create(model="tiny", prompt="Hello", temperature=0).choices[0].text) == 16, "the API's default"


def test_chat_whole_and_streamed(served):
    create = served.client.chat.completions.create
    messages = [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "Hi"}]
    whole = create(model="tiny", messages=messages, max_completion_tokens=9, temperature=0)
    assert whole.choices[0].message.role == "assistant"
    assert whole.choices[0].message.content == plain(served, "system: Be brief.\nuser: Hi\nassistant:", 9)
    chunks = list(create(model="tiny", messages=messages, max_tokens=9, temperature=0, stream=True))
    assert chunks[0].choices[0].delta.role == "assistant" and chunks[1].choices[0].delta.role is None
    assert "".join(c.choices[0].delta.content or "" for c in chunks) == whole.choices[0].message.content
    parts = [{"role": "user", "content": [{"type": "text", "text": "H"}, {"type": "text", "text": "i"}]}]
    same = [create(model="tiny", messages=m, max_tokens=5, seed=1).choices for m in (parts, [messages[1]])]
    assert same[0][0].message.content == same[1][0].message.content


def test_settings_reach_the_sampler(served):
    def text(**options):
        answer = served.client.completions.create(model="tiny", prompt="abc", max_tokens=16, **options)
        return answer.choices[0].text, answer.choices[0].finish_reason

    greedy = plain(served, "abc", 16)
    assert text(seed=7) == text(seed=7) != text(seed=8)
    assert text(seed=7)[0] != greedy, "the API's default temperature is 1"
    assert text(top_p=1e-6)[0] == text(extra_body={"top_k": 1})[0] == text(extra_body={"min_p": 1.0})[0] == greedy
    stop = greedy[5:7]
    assert text(temperature=0, stop=[stop, "never"]) == (greedy[: greedy.index(stop)], "stop")
    assert text(temperature=0, stop=stop) == (greedy[: greedy.index(stop)], "stop")


def stream_text(served, prompt, num):
    stream = served.client.completions.create(model="tiny", prompt=prompt, max_tokens=num, temperature=0, stream=True)
    return "".join(chunk.choices[0].text for chunk in stream)


def test_32_concurrent_streams_get_their_own_text(served):
    prompts = ["You are a system prompt that all share. " * (i % 2) + f"Request {i}" for i in range(32)]
    with concurrent.futures.ThreadPoolExecutor(32) as pool:
        texts = list(pool.map(lambda p: stream_text(served, p, 24), prompts))
    assert texts == [plain(served, prompt, 24) for prompt in prompts]
    assert served.metric("requests_running") == 0
    assert served.metric("kv_blocks_available") == NUM_BLOCKS


def test_a_load_test_of_32_streams(served):
    report = load_test(served.url, num_requests=48, concurrency=32, max_tokens=12, ignore_eos=True, progress=False)
    assert (report["num_ok"], report["num_failed"], report["num_output_tokens"]) == (48, 0, 48 * 12)


def test_clients_that_vanish_free_their_blocks(served):
    before = served.metric("generation_tokens_total")

    def vanish(i):
        create = served.client.completions.create
        if i % 2:
            stream = create(model="tiny", prompt=f"gone {i}", max_tokens=900, stream=True)
            next(iter(stream))
            stream.close()
        else:
            with pytest.raises(openai.APITimeoutError):
                create(model="tiny", prompt=f"gone {i}", max_tokens=900, timeout=0.3)

    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        list(pool.map(vanish, range(8)))
    served.assert_nothing_left()
    assert served.metric("generation_tokens_total") - before < 8 * 900, "they were served to the end"


def test_clients_that_vanish_before_the_first_byte(served):
    """Requests whose sender hangs up at once, some in the middle of the body."""
    host, port = served.url.removeprefix("http://").split(":")
    for i in range(30):
        body = json.dumps({"model": "tiny", "prompt": f"hello {i}", "max_tokens": 400, "stream": i % 3 != 0}).encode()
        head = f"POST /v1/completions HTTP/1.1\r\nHost: x\r\nContent-Length: {len(body)}\r\n"
        data = head.encode() + b"Content-Type: application/json\r\n\r\n" + (body if i % 5 else body[:10])
        with socket.create_connection((host, int(port))) as connection:
            connection.sendall(data)
            if i % 2:
                time.sleep(0.002 * (i % 7))


def test_prompts_beyond_the_context(served):
    create = served.client.completions.create
    limit = served.engine.max_model_len
    for prompt, options, field in (
        ("x" * limit, {}, "prompt"),
        ("x" * limit * 100, {}, "prompt"),
        ([1] * (limit + 1), {}, "prompt"),
        ("x" * 10, {"max_tokens": limit}, "max_tokens"),
    ):
        with pytest.raises(openai.BadRequestError) as caught:
            create(model="tiny", prompt=prompt, **options)
        assert caught.value.param == field and caught.value.code == "context_length_exceeded"
    with pytest.raises(openai.BadRequestError) as caught:
        served.client.chat.completions.create(model="tiny", messages=[{"role": "user", "content": "x" * limit}])
    assert caught.value.param == "messages"
    full = create(model="tiny", prompt="x" * (limit - 3), temperature=0, max_tokens=3)
    assert full.usage.total_tokens == limit, "what just fits is served"


@pytest.mark.parametrize(
    "changes, field",
    [
        ({"prompt": None}, "prompt"),
        ({"prompt": ""}, "prompt"),
        ({"prompt": [5, 512]}, "prompt"),
        ({"prompt": ["a", "b"]}, "prompt"),
        ({"prompt": {"a": 1}}, "prompt"),
        ({"max_tokens": 0}, "max_tokens"),
        ({"max_tokens": "many"}, "max_tokens"),
        ({"temperature": -0.1}, "temperature"),
        ({"temperature": 3}, "temperature"),
        ({"top_p": 0}, "top_p"),
        ({"top_k": -2}, "top_k"),
        ({"min_p": 2}, "min_p"),
        ({"seed": -1}, "seed"),
        ({"stop": ["a"] * 5}, "stop"),
        ({"stop": ""}, "stop"),
        ({"stop": 5}, "stop"),
        ({"n": 2}, "n"),
        ({"logprobs": 21}, "logprobs"),
        ({"stream": "perhaps"}, "stream"),
    ],
)
def test_bad_fields_are_named(served, changes, field):
    reply = httpx.post(f"{served.url}/v1/completions", json={"model": "tiny", "prompt": "a", **changes})
    error = reply.json()["error"]
    assert reply.status_code == 400 and error["param"] == field and error["type"] == "invalid_request_error"
    assert field in error["message"]


def test_bad_bodies(served):
    def post(path="completions", **body):
        return httpx.post(f"{served.url}/v1/{path}", headers={"content-type": "application/json"}, **body)

    for content in ('{"model": "tiny", "prompt": ', "", "[1, 2]", "\xff\xfe"):
        assert post(content=content).status_code == 400
    assert post(content="{").json()["error"]["code"] == "invalid_json"
    assert (
        post(content='{"model": "tiny", "prompt": "a", "temperature": NaN}').json()["error"]["param"] == "temperature"
    )
    assert post("chat/completions", json={"model": "tiny", "messages": []}).json()["error"]["param"] == "messages"
    bad_role = post("chat/completions", json={"model": "tiny", "messages": [{"role": "robot", "content": "x"}]})
    assert bad_role.json()["error"]["param"] == "messages.0.role"
    with pytest.raises(openai.NotFoundError, match="gpt-5"):
        served.client.completions.create(model="gpt-5", prompt="a")
    assert httpx.get(f"{served.url}/nothing").json()["error"]["message"] == "Not Found"
    assert httpx.get(f"{served.url}/v1/completions").status_code == 405


def test_models_health_and_metrics(served):
    model = served.client.models.list().data[0]
    assert model.id == "tiny" and model.max_model_len == 1024
    assert httpx.get(f"{served.url}/health").json() == {"status": "ok"}
    counts = ("time_to_first_token_seconds_count", "time_per_output_token_seconds_count", "generation_tokens_total")
    before = [served.metric(name) for name in counts]
    stream_text(served, "metrics", 5)
    served.assert_nothing_left()
    assert [served.metric(name) - b for name, b in zip(counts, before, strict=True)] == [1, 1, 5]
    assert served.metric("kv_blocks") == NUM_BLOCKS


def test_the_metrics_page_keeps_its_names_and_counts():
    metrics = Metrics()
    for ttft_s in (0.005, 0.01, 0.02, 99):
        metrics.observe(SimpleNamespace(finish_reason="stop", ttft_s=ttft_s, tpot_s=None))
    page = metrics.render({key: number for number, key in enumerate(SNAPSHOT_METRICS)})
    lines = dict(line.rsplit(" ", 1) for line in page.splitlines() if not line.startswith("#"))
    assert {name: float(lines[f"mini_engine_{name}"]) for name in ("kv_blocks", "steps_total")} == {
        "kv_blocks": 2,
        "steps_total": 4,
    }
    first = "mini_engine_time_to_first_token_seconds"
    buckets = [float(lines[f'{first}_bucket{{le="{bound}"}}']) for bound in ("0.01", "0.025", "60.0", "+Inf")]
    assert buckets == [2, 3, 3, 4], "a bucket counts all values up to its bound"
    assert float(lines[f"{first}_count"]) == 4 and float(lines[f"{first}_sum"]) == pytest.approx(99.035)
    finished = "mini_engine_requests_finished_total"
    assert [float(lines[f'{finished}{{reason="{reason}"}}']) for reason in ("stop", "length")] == [4, 0]
    assert not any("_created" in name for name in lines)


def test_a_full_queue_answers_429():
    served = Served(max_requests=2)
    try:
        create = served.client.completions.create
        streams = [create(model="tiny", prompt=f"{i}", max_tokens=1000, stream=True) for i in range(2)]
        for stream in streams:
            next(iter(stream))
        with pytest.raises(openai.RateLimitError) as caught:
            create(model="tiny", prompt="one too many")
        assert caught.value.response.headers["retry-after"] == "1"
        for stream in streams:
            stream.close()
        served.assert_nothing_left()
        assert create(model="tiny", prompt="now", max_tokens=1).choices[0].finish_reason == "length"
    finally:
        served.stop()


def test_more_requests_than_memory_are_preempted_and_all_end():
    served = Served(num_blocks=24, max_requests=64)
    try:
        prompts = [f"{i} memory is short" for i in range(16)]
        with concurrent.futures.ThreadPoolExecutor(16) as pool:
            texts = list(pool.map(lambda p: stream_text(served, p, 60), prompts))
        assert texts == [plain(served, prompt, 60) for prompt in prompts]
        assert served.metric("preemptions_total") > 0
        served.assert_nothing_left()
    finally:
        served.stop()


def test_a_failing_engine_answers_and_shows_in_health():
    served = Served()
    try:
        served.engine.model.hidden_states = lambda *args: 1 / 0
        with pytest.raises(openai.InternalServerError, match="engine failed"):
            served.client.completions.create(model="tiny", prompt="a")
        assert httpx.get(f"{served.url}/health").status_code == 503
        with pytest.raises(openai.InternalServerError):
            served.client.completions.create(model="tiny", prompt="a")
    finally:
        served.stop()


def launch(*options):
    command = [sys.executable, "-m", "mini_engine", "serve", "--model", "tiny", *options]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=os.environ)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_the_command_serves_and_stops_gracefully(number):
    process = launch("--port", "0", "--num-blocks", "64", "--num-draft-tokens", "3")
    try:
        url = process.stdout.readline().split()[3]
        client = openai.OpenAI(base_url=url, api_key="none", max_retries=0, timeout=TIMEOUT_S)
        stream = iter(client.completions.create(model="tiny", prompt="abcabc", max_tokens=300, stream=True))
        next(stream)
        process.send_signal(number)
        chunks = list(stream)
        assert chunks[-1].choices[0].finish_reason == "length", "the running request was cut off"
        assert process.wait(TIMEOUT_S) == 0
        assert "Traceback" not in process.stderr.read()
    finally:
        process.kill()
        process.communicate()


def test_a_taken_port_is_one_line():
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        process = launch("--port", str(port))
        _, errors = process.communicate(timeout=TIMEOUT_S)
    assert process.returncode == 1
    assert len(errors.splitlines()) == 1 and f"127.0.0.1:{port}" in errors and "--port" in errors


@pytest.mark.skipif(not smollm2_is_cached(), reason="SmolLM2 is not cached on this machine")
def test_the_real_model_answers():
    served = Served("smollm2", num_blocks=64)
    try:
        messages = [{"role": "user", "content": "What is the capital of France?"}]
        create = served.client.chat.completions.create
        chunks = list(create(model="smollm2", messages=messages, max_tokens=24, temperature=0, stream=True))
        assert "Paris" in "".join(chunk.choices[0].delta.content or "" for chunk in chunks)
        served.assert_nothing_left()
        assert json.loads(httpx.get(f"{served.url}/health").text) == {"status": "ok"}
    finally:
        served.stop()
