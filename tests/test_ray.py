"""The server on Ray Serve: two workers write what the engine writes, and a killed one is replaced."""

import os
import signal
import socket
import time

import httpx
import pytest

from mini_engine.engine import Engine
from mini_engine.fleet.on_ray import serve_on_ray
from mini_engine.loading import load
from mini_engine.sequence import SamplingParams

ray = pytest.importorskip("ray", reason='Ray Serve is NOT checked: pip install ".[ray]"')
from ray import serve  # noqa: E402

TIMEOUT_S = 120


def free_port():
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        return sock.getsockname()[1]


@pytest.fixture
def url():
    try:
        yield serve_on_ray("tiny", num_replicas=2, port=free_port(), num_cpus=0.1)
    finally:
        serve.shutdown()
        ray.shutdown()


def until(url, found):
    """Every process id that answered until found(them) holds; while a worker is away, an answer may be an error."""
    seen, deadline = set(), time.monotonic() + TIMEOUT_S
    while not found(seen):
        assert time.monotonic() < deadline, f"only {seen} answered"
        reply = httpx.get(f"{url}/pid", timeout=TIMEOUT_S)
        seen |= {reply.json()} if reply.status_code == 200 else set()
    return seen


def text_of(url, prompt):
    body = {"model": "tiny", "prompt": prompt, "max_tokens": 12, "temperature": 0}
    return httpx.post(f"{url}/v1/completions", json=body, timeout=TIMEOUT_S).json()["choices"][0]["text"]


def test_two_workers_write_what_the_engine_writes_and_a_killed_one_is_replaced(url):
    model, tokenizer = load("tiny")
    prompts = [f"Request {number}" for number in range(6)]
    wanted = [seq.text for seq in Engine(model, tokenizer).generate(prompts, SamplingParams(max_tokens=12))]
    first = until(url, lambda pids: len(pids) == 2)
    assert os.getpid() not in first and [text_of(url, prompt) for prompt in prompts] == wanted
    os.kill(min(first), signal.SIGKILL)
    until(url, lambda pids: len(pids - first) == 1)
    assert [text_of(url, prompt) for prompt in prompts] == wanted
