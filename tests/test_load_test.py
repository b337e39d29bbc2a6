"""The load test: its arithmetic on made-up requests, and its manners against servers that differ."""

import json
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from visit import serving

from mini_engine.__main__ import main
from mini_engine.bench.load_test import RequestResult, load_test, make_prompts, summarize, table


class OtherServer(BaseHTTPRequestHandler):
    """Speaks the API without usage in streams: 20 ms to the first of 4 tokens, 10 ms between them. Fails on demand."""

    num_open, peak_open, fail_every, num_seen = 0, 0, 0, 0
    lock = threading.Lock()

    def log_message(self, *args):
        pass

    def do_GET(self):
        self.reply(200, {"data": [{"id": "other"}]})

    def reply(self, status, body):
        data = json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def do_POST(self):
        server = type(self)
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        with server.lock:
            server.num_seen += 1
            server.num_open += 1
            server.peak_open = max(server.peak_open, server.num_open)
            fails = server.fail_every and server.num_seen % server.fail_every == 0
        try:
            assert body["model"] == "other" and body["stream"] and body["temperature"] == 0
            if fails:
                return self.reply(429, {"error": {"message": "full"}})
            self.send_response(200)
            self.send_header("Connection", "close")
            self.end_headers()
            is_chat = "messages" in body
            for i in range(4):
                time.sleep(0.02 if i == 0 else 0.01)
                piece = {"delta": {"content": "x"}} if is_chat else {"text": "x"}
                self.wfile.write(f"data: {json.dumps({'choices': [piece]})}\n\n".encode())
                self.wfile.flush()
            self.wfile.write(b": a comment\n\ndata: [DONE]\n\n")
        finally:
            with server.lock:
                server.num_open -= 1


@pytest.fixture
def other_server():
    handler = type("Handler", (OtherServer,), {"lock": threading.Lock()})
    with serving(ThreadingHTTPServer(("127.0.0.1", 0), handler)) as address:
        yield address, handler


@pytest.mark.parametrize("chat", [False, True])
def test_any_server_is_measured(other_server, chat):
    url, handler = other_server
    report = load_test(f"{url}/v1/", num_requests=12, concurrency=3, chat=chat, progress=False)
    assert (report["num_ok"], report["num_failed"], report["num_output_tokens"]) == (12, 0, 48)
    assert handler.peak_open <= 3 and handler.num_seen == 12
    assert report["settings"]["model"] == "other"
    assert report["ttft_s"]["p50"] >= 0.02 and report["tpot_s"]["mean"] >= 0.009
    assert report["latency_s"]["max"] >= report["latency_s"]["p99"] >= report["ttft_s"]["p50"]
    json.dumps(report)


def test_failures_are_counted_by_kind(other_server):
    url, handler = other_server
    handler.fail_every = 3
    report = load_test(url, num_requests=9, concurrency=2, progress=False)
    assert (report["num_ok"], report["num_failed"], report["errors"]) == (6, 3, {"HTTP 429": 3})


def test_an_open_loop_request_counts_from_when_it_was_due(other_server):
    """One connection, arrivals much faster than the service: the queue in front of the server is part of TTFT."""
    url, _ = other_server
    report = load_test(url, num_requests=10, concurrency=1, request_rate=1000.0, progress=False)
    assert report["ttft_s"]["max"] > 9 * 0.05
    closed = load_test(url, num_requests=10, concurrency=1, progress=False)
    assert closed["ttft_s"]["p50"] < report["ttft_s"]["p50"]


def test_arithmetic_of_the_report():
    results = [RequestResult(1.0, [1.5, 1.75, 2.0], 2.0, 3), RequestResult(0.0, [0.25], 1.0, 1)]
    report = summarize([*results, RequestResult(0.5, [], 0.6, 0, "HTTP 500")], {})
    assert report["duration_s"] == 2.0 and report["requests_per_s"] == 1.0 and report["output_tokens_per_s"] == 2.0
    assert report["ttft_s"]["mean"] == pytest.approx(0.375) and report["ttft_s"]["p50"] == pytest.approx(0.375)
    assert report["tpot_s"]["mean"] == pytest.approx(0.25), "a request of one token has no time per further token"
    assert report["itl_s"]["max"] == pytest.approx(0.25) and report["errors"] == {"HTTP 500": 1}
    assert "2 ok, 1 failed" in table(report) and "375.0" in table(report)
    nothing = summarize([RequestResult(0.0, [], 1.0, 0, "no text")], {})
    assert nothing["ttft_s"] is None and "0 ok" in table(nothing)


def test_prompts_share_a_beginning_and_differ():
    prompts = make_prompts(20)
    assert len(set(prompts)) == 20 and len({prompt[:60] for prompt in prompts}) == 1


def test_the_command_writes_json_and_a_picture(other_server, tmp_path, capsys):
    url, handler = other_server
    report, picture, prompts = tmp_path / "r.json", tmp_path / "r.png", tmp_path / "p.txt"
    prompts.write_text("first\n\nsecond\n")
    command = ["load-test", "--base-url", url, "--num-requests", "4", "--json", str(report), "--plot", str(picture)]
    assert main([*command, "--prompts", str(prompts)]) == 0
    assert "4 ok, 0 failed" in capsys.readouterr().out
    assert json.loads(report.read_text())["num_ok"] == 4 and picture.read_bytes().startswith(b"\x89PNG")
    handler.fail_every = 1
    assert main(command) == 1


@pytest.mark.parametrize("options", [["--num-requests", "0"], ["--request-rate", "-1"], ["--concurrency", "0"]])
def test_bad_sizes_are_one_line(options, capsys):
    assert main(["load-test", "--base-url", "http://127.0.0.1:1", *options]) == 1
    assert len(capsys.readouterr().err.splitlines()) == 1


@pytest.mark.parametrize("url", ["http://127.0.0.1:1", "not a url", "http://[bad"])
def test_no_server_is_one_line(url, capsys):
    assert main(["load-test", "--base-url", url]) == 1
    errors = capsys.readouterr().err.splitlines()
    assert len(errors) == 1 and url in errors[0]
