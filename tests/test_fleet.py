"""A fleet: caches handed over, a router that knows prefixes, replicas that die, and what the fleet is sized by."""

import asyncio
import contextlib
import json
import math
import os
import random
import signal
import socket
import subprocess
import sys
import threading
import time
from urllib.parse import urlsplit

import httpx
import numpy as np
import pytest
import uvicorn
from hypothesis import given, settings
from hypothesis import strategies as st

from mini_engine import loading
from mini_engine.commands.serve import bind
from mini_engine.engine import Engine
from mini_engine.fleet import __main__ as command
from mini_engine.fleet import handover, objectives
from mini_engine.fleet.front import create_front
from mini_engine.fleet.replicas import Fleet, Patience, serve_command
from mini_engine.fleet.router import Router
from mini_engine.fleet.traces import KINDS, make_trace, route_trace
from mini_engine.generate import generate
from mini_engine.model import Llama
from mini_engine.parallel.launch import RankLost
from mini_engine.sequence import SamplingParams
from mini_engine.weights import load_tiny

TIMEOUT_S = 120
LONG = list(range(1, 40))
PROMPTS = [LONG, LONG[:32] + [7, 8, 9], [3, 4, 5]]


def engine(num_blocks=40, block_size=8):
    return Engine(Llama(*load_tiny()), num_blocks=num_blocks, block_size=block_size)


def hand_over(source, target, ids, num_held=0):
    content = handover.take_blocks(source, ids, num_held)
    return handover.put_blocks(target, ids, content, num_held)


def test_a_cache_handed_over_is_found_and_changes_no_token():
    source, target, alone = engine(), engine(), engine()
    params = SamplingParams(max_tokens=12, ignore_eos=True)
    for ids in PROMPTS:
        (first,) = source.generate([ids], SamplingParams(max_tokens=1, ignore_eos=True))
        assert hand_over(source, target, ids) == len(ids) // 8
        prompt = ids + first.output_token_ids
        (got,), (want,) = target.generate([prompt], params), alone.generate([prompt], params)
        assert got.output_token_ids == want.output_token_ids
        assert got.num_cached_tokens == len(ids) // 8 * 8
        source.check_invariants()
        target.check_invariants()
    assert target.stats.num_computed_tokens < alone.stats.num_computed_tokens / 1.3


def test_only_what_is_missing_travels_and_what_finds_no_room_is_computed():
    source, target = engine(), engine(num_blocks=7)
    source.generate([LONG], SamplingParams(max_tokens=1))
    assert handover.take_blocks(source, LONG, 3).shape[1] == 1
    assert handover.take_blocks(source, [9, 9, 9] * 8).shape[1] == 0
    assert hand_over(source, target, LONG[:24]) == 3 and hand_over(source, target, LONG, 3) == 1
    assert len(target.scheduler.prefix_cache) == 4
    waiting = target.add_request([5] * 20, SamplingParams(max_tokens=4))  # 3 blocks of 7 are in use now
    target.step()
    other = [11] * 40
    source.generate([other], SamplingParams(max_tokens=1))
    assert hand_over(source, target, other) == 4, "cached blocks that nobody uses make room, those in use do not"
    target.check_invariants()
    (got,) = target.generate([other], SamplingParams(max_tokens=3, ignore_eos=True))
    assert got.output_token_ids == list(generate(Llama(*load_tiny()), other, 3))
    assert waiting.is_finished
    target.check_invariants()


def test_blocks_of_another_shape_are_refused_and_nothing_is_taken():
    source, target = engine(block_size=8), engine(block_size=16)
    source.generate([LONG], SamplingParams(max_tokens=1))
    with pytest.raises(ValueError, match="do not fit"):
        hand_over(source, target, LONG)
    target.check_invariants()
    assert len(target.scheduler.prefix_cache) == 0


def test_two_processes_write_what_one_writes_and_send_the_formula():
    config, weights = load_tiny()
    got = handover.generate_split(PROMPTS, 12, "tiny", TIMEOUT_S)
    assert got.tokens == [list(generate(Llama(config, weights), ids, 12)) for ids in PROMPTS]
    assert got.num_bytes == handover.handover_bytes(config, PROMPTS)
    by_hand = 2 * config.num_hidden_layers * config.num_key_value_heads * config.head_dim * 4 * 32 + 3 * 16
    assert got.num_bytes == by_hand, "LONG has two full blocks of 16, the second prompt shares them, the third has none"


@pytest.mark.parametrize("rank", [0, 1])
def test_a_process_that_dies_in_a_handover_ends_the_run(rank):
    def started(processes):
        os.kill(processes[rank].pid, signal.SIGKILL)

    with pytest.raises(RankLost, match=f"rank {rank} of 2 was ended by signal 9"):
        handover.generate_split(PROMPTS, 12, "tiny", TIMEOUT_S, started)


def test_a_handover_that_makes_no_sense_starts_no_process():
    for prompts, num_new, word in (([[600]], 4, "600"), ([], 4, "1 prompt"), (PROMPTS, 1, "num_new=1")):
        with pytest.raises(ValueError, match=word):
            handover.generate_split(prompts, num_new, "tiny", started=lambda _: pytest.fail("a process was started"))


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_the_router_takes_the_smallest_cost_and_forgets_nothing(data):
    """Against a router that keeps every list ever sent and counts with loops."""
    weight = data.draw(st.sampled_from([0.0, 1.0, 4.0]))
    router, open_, sent = Router("prefix", weight, max_blocks=10_000), [], {name: [] for name in "abc"}
    for name in "abc":
        router.add(name)
    for _ in range(data.draw(st.integers(1, 12))):
        if open_ and data.draw(st.booleans()):
            router.end(*open_.pop(0))
        blocks = data.draw(st.lists(st.integers(0, 2), max_size=4))
        blocks = [tuple(blocks[: i + 1]) for i in range(len(blocks))]
        costs = {}
        for name in sent:
            known = {block for each in sent[name] for block in each}
            missing = sum(block not in known for block in blocks)
            costs[name] = weight * missing + sum(max(1, len(b)) for n, b in open_ if n == name), len(sent[name])
        chosen = router.choose(blocks)
        assert costs[chosen] == min(costs.values())
        router.begin(chosen, blocks)
        open_.append((chosen, blocks))
        sent[chosen].append(blocks)


def test_the_router_follows_who_comes_and_goes():
    router = Router("turns")
    assert router.choose([]) is None
    for name in ("a", "b"):
        router.add(name)
    order = []
    for _ in range(4):
        order.append(router.choose([]))
        router.begin(order[-1], [])
    assert order == ["a", "b", "a", "b"] and router.choose([], {"a", "b"}) is None
    router.remove("a")
    router.end("a", [])
    assert router.choose([]) == "b"
    long = Router(block_size=4, max_blocks=3)
    long.add("a")
    blocks = long.blocks_of("a text of five blocks")
    assert len(blocks) == 5 and blocks[:2] == long.blocks_of("a text of")
    assert long.begin("a", blocks) == 0 and long.overlap("a", blocks) == 3, "the end of the chain is forgotten first"
    for options in ({"policy": "luck"}, {"block_size": 0}, {"max_blocks": 0}, {"weight": -1}):
        with pytest.raises(ValueError, match="one of"):
            Router(**options)


def test_the_traces_share_what_they_should():
    found = {}
    for kind in KINDS:
        trace = make_trace(kind)
        assert trace == make_trace(kind) and len(trace) == 120
        blocks = [Router().blocks_of(turn.prompt) for turn in trace]
        for policy in ("turns", "prefix"):
            done = route_trace(blocks, 4, policy)
            assert sum(done["computed"]) + sum(done["found"]) == sum(map(len, blocks))
            found[kind, policy] = sum(done["found"]) / sum(map(len, blocks))
        alone = route_trace(blocks, 1, "prefix")
        assert sum(alone["computed"]) == len({block for names in blocks for block in names})
    assert found["reasoning", "prefix"] == 0 and found["chat", "prefix"] > 1.4 * found["chat", "turns"]
    with pytest.raises(ValueError, match="chat"):
        make_trace("poem")


class Scripted:
    """A replica that says what it was told to, raw: headers and body, and then closes the connection."""

    def __init__(self, raw, hang=False):
        self.raw, self.hang, self.num_asked = raw, hang, 0

    async def __call__(self, reader, writer):
        await reader.readuntil(b"\r\n\r\n")
        self.num_asked += 1
        writer.write(self.raw)
        with contextlib.suppress(ConnectionError):
            await writer.drain()
        if self.hang:
            await asyncio.sleep(3600)
        writer.close()


def raw(status, body, kind="application/json"):
    return f"HTTP/1.1 {status} X\r\ncontent-type: {kind}\r\ncontent-length: {len(body)}\r\n\r\n".encode() + body


def events(*pieces, done=True):
    chunks = b"".join(f"{len(p):x}\r\n".encode() + p + b"\r\n" for p in pieces) + (b"0\r\n\r\n" if done else b"")
    return b"HTTP/1.1 200 X\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n" + chunks


GOOD, BUSY, BAD = raw(200, b'{"good": 1}'), raw(429, b'{"busy": 1}'), raw(400, b'{"bad": 1}')
CUT = raw(200, b'{"good": 1}')[:-4]
WHOLE = events(b"data: 1\n\n", b"data: [DONE]\n\n")
BROKEN, UNBEGUN = events(b"data: 1\n\n", done=False), events(done=False)


def asked(scripts, silence_s=TIMEOUT_S):
    """(status, body, counts, times each was asked) of one request to a front before replicas with these scripts."""

    async def run():
        fleet = Fleet(["true"], len(scripts), Router("turns"))
        servers = []
        for replica, script in zip(fleet.replicas.values(), scripts, strict=True):
            servers.append(await asyncio.start_server(script, "127.0.0.1", 0))
            replica.url = f"http://127.0.0.1:{servers[-1].sockets[0].getsockname()[1]}"
            fleet.router.add(replica.name)
        app = create_front(fleet, silence_s)
        async with httpx.AsyncClient(timeout=silence_s) as app.state.client:
            transport = httpx.ASGITransport(app)
            async with httpx.AsyncClient(transport=transport, base_url="http://front") as client:
                reply = await client.post("/v1/completions", json={"prompt": "x"})
        for server in servers:
            server.close()
        assert not any(fleet.router.load.values()), "a request that has ended still counts as work"
        return reply.status_code, reply.text, dict(app.state.counts), [script.num_asked for script in scripts]

    return asyncio.run(asyncio.wait_for(run(), TIMEOUT_S))


@pytest.mark.parametrize(
    "scripts, status, word, count, times",
    [
        ([GOOD, GOOD], 200, "good", "answered", [1, 0]),
        ([b"", GOOD], 200, "good", "answered", [1, 1]),
        ([CUT, GOOD], 200, "good", "answered", [1, 1]),
        ([BUSY, GOOD], 200, "good", "answered", [1, 1]),
        ([UNBEGUN, WHOLE], 200, "[DONE]", "answered", [1, 1]),
        ([BROKEN, WHOLE], 200, "the replica was lost", "broken", [1, 0]),
        ([BAD, GOOD], 400, "bad", "passed_on", [1, 0]),
        ([BUSY, b""], 429, "busy", "refused", [1, 1]),
        ([b"", CUT], 503, "no replica", "refused", [1, 1]),
    ],
)
def test_a_request_is_asked_again_until_the_client_was_told_anything(scripts, status, word, count, times):
    got = asked([Scripted(script) for script in scripts])
    assert got[0] == status and word in got[1] and got[3] == times
    assert got[2][count] == 1 and sum(n for name, n in got[2].items() if name != "retried") == 1
    assert got[2]["retried"] == sum(times) - 1
    assert ("[DONE]" in got[1]) == (word == "[DONE]"), "a broken stream must not look finished"


def test_a_silent_replica_is_given_up():
    got = asked([Scripted(b"", hang=True), Scripted(GOOD)], silence_s=0.5)
    assert got[0] == 200 and got[2]["retried"] == 1
    got = asked([Scripted(BROKEN, hang=True)], silence_s=0.5)
    assert "the replica was lost" in got[1] and got[2]["broken"] == 1


STUB = """
import http.server, sys
class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200); self.send_header("content-length", "2"); self.end_headers(); self.wfile.write(b"ok")
    def log_message(self, *args): pass
server = http.server.HTTPServer(("127.0.0.1", 0), Handler)
print(f"stub at http://127.0.0.1:{server.server_port}/v1", flush=True)
server.serve_forever()
"""


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGSTOP])
def test_a_replica_that_dies_or_falls_silent_is_started_again(number):
    async def run():
        router = Router()
        fleet = Fleet([sys.executable, "-c", STUB], 1, router, Patience(check_s=0.5, num_checks=2, again_s=0.01))
        (replica,) = fleet.replicas.values()
        fleet.start()
        await fleet.all_up()
        first = replica.process
        assert "replica 0" in router.load
        first.send_signal(number)
        while replica.num_starts < 2:
            await asyncio.sleep(0.02)
        assert first.returncode is not None
        await fleet.all_up()
        second = replica.process
        await fleet.stop()
        assert second.returncode is not None and not router.load

    asyncio.run(asyncio.wait_for(run(), TIMEOUT_S))


FRONT = """
import asyncio
from mini_engine.fleet.replicas import Fleet, serve_command
from mini_engine.fleet.router import Router
async def run():
    fleet = Fleet(serve_command("tiny"), 1, Router())
    fleet.start()
    await fleet.all_up()
    print(fleet.replicas["replica 0"].url, flush=True)
    await asyncio.sleep(1000)
asyncio.run(run())
"""


def test_a_front_that_is_killed_leaves_no_replica_behind():
    front = subprocess.Popen([sys.executable, "-c", FRONT], stdout=subprocess.PIPE, text=True)
    try:
        address = urlsplit(front.stdout.readline().strip())
        with socket.create_connection((address.hostname, address.port)) as connection:
            front.kill()
            connection.settimeout(TIMEOUT_S)
            with contextlib.suppress(ConnectionResetError):
                assert connection.recv(1) == b"", "the replica has nothing to say; its end closes the connection"
    finally:
        front.kill()
        front.wait()


def test_a_replica_that_never_comes_up_leaves_a_clean_refusal():
    async def run():
        fleet = Fleet([sys.executable, "-c", "raise SystemExit(3)"], 1, Router(), Patience(again_s=0.01))
        app = create_front(fleet)
        async with app.router.lifespan_context(app):
            async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://front") as client:
                assert (await client.post("/v1/completions", json={"prompt": "x"})).status_code == 503
                assert (await client.post("/v1/completions", content=b"{")).status_code == 503
                health = await client.get("/health")
                assert health.status_code == 503 and health.json()["replicas"]["replica 0"]["url"] is None

    asyncio.run(asyncio.wait_for(run(), TIMEOUT_S))
    with pytest.raises(ValueError, match="at least 1"):
        Fleet(["true"], 0, Router())


@contextlib.contextmanager
def front_of(num_replicas):
    """(fleet, url) of a front in a thread, with real servers of the tiny model behind it, all up."""
    fleet = Fleet(
        serve_command("tiny", "--max-requests", "12"), num_replicas, Router(), Patience(check_s=30, again_s=0.1)
    )
    sock = bind("127.0.0.1", 0)
    server = uvicorn.Server(uvicorn.Config(create_front(fleet), log_level="error"))
    thread = threading.Thread(target=server.run, kwargs={"sockets": [sock]})
    thread.start()
    try:
        wait_for(lambda: len(fleet.router.load) == num_replicas)
        yield fleet, f"http://127.0.0.1:{sock.getsockname()[1]}"
    finally:
        server.should_exit = True
        thread.join(TIMEOUT_S)


def wait_for(condition):
    deadline = time.monotonic() + TIMEOUT_S
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def outcome(url, number, texts):
    """What became of one request: "answered", "refused" or "broken"; anything else fails."""
    body = {"model": "tiny", "prompt": f"Request {number}", "max_tokens": 48, "temperature": 0, "ignore_eos": True}
    body["stream"] = number % 2 == 0
    reply = httpx.post(f"{url}/v1/completions", json=body, timeout=TIMEOUT_S)
    if reply.status_code in (429, 503):
        return "refused" if "error" in reply.json() else reply.text
    assert reply.status_code == 200, reply.text
    if not body["stream"]:
        text = reply.json()["choices"][0]["text"]
    else:
        parts = [line[6:] for line in reply.text.splitlines() if line.startswith("data: ")]
        if "[DONE]" not in parts:
            assert "error" in json.loads(parts[-1]), "a stream ended without [DONE] and without an error"
            return "broken"
        text = "".join(json.loads(part)["choices"][0]["text"] for part in parts if part != "[DONE]")
    assert text == texts[number], "a request that was answered has the text of one engine"
    return "answered"


def vanish(url):
    """Two clients that leave before their answer is whole, one of them in the middle of a stream."""
    body = {"model": "tiny", "prompt": "long", "max_tokens": 900, "temperature": 0, "ignore_eos": True}
    with httpx.stream("POST", f"{url}/v1/completions", json=body | {"stream": True}, timeout=TIMEOUT_S) as reply:
        next(reply.iter_lines())
    with pytest.raises(httpx.ReadTimeout):
        httpx.post(f"{url}/v1/completions", json=body, timeout=0.2)


def test_a_replica_killed_under_load_leaves_no_request_hanging():
    """Real servers: every request ends as answered (with the right text), refused or broken off with an error."""
    alone = Engine(*loading.load("tiny"), num_blocks=400)
    params = SamplingParams(max_tokens=48, ignore_eos=True)
    texts = [seq.text for seq in alone.generate([f"Request {i}" for i in range(40)], params)]
    with front_of(2) as (fleet, url):
        results = [None] * 40

        def ask(i):
            results[i] = outcome(url, i, texts)

        threads = [threading.Thread(target=ask, args=(i,), daemon=True) for i in range(40)]
        for thread in threads[:20]:
            thread.start()
        wait_for(lambda: any(fleet.router.load.values()))
        os.kill(fleet.replicas["replica 0"].process.pid, signal.SIGKILL)
        for thread in threads[20:]:
            thread.start()
        for thread in threads:
            thread.join(TIMEOUT_S)
        assert not any(thread.is_alive() for thread in threads), "a request hangs"
        assert set(results) <= {"answered", "refused", "broken"} and "answered" in results, results
        wait_for(lambda: fleet.replicas["replica 0"].num_starts == 2 and len(fleet.router.load) == 2)
        assert outcome(url, 0, texts) == "answered", "the fleet serves on"
        counts = httpx.get(f"{url}/health").json()["counts"]
        assert [counts[name] for name in ("refused", "broken")] == [results.count(n) for n in ("refused", "broken")]
        assert counts["answered"] == results.count("answered") + 1
        vanish(url)
        wait_for(lambda: not any(fleet.router.load.values()))
        assert httpx.get(f"{url}/health").json()["counts"] == counts, "nobody was there to be answered"
        httpx.get(f"{url}/v1/models").raise_for_status()
        bad = httpx.post(f"{url}/v1/completions", json={"model": "tiny", "prompt": ""}, timeout=TIMEOUT_S)
        assert bad.status_code == 400 and bad.json()["error"]["param"] == "prompt", "a replica's own 400 is handed on"


def test_the_command_says_what_is_wrong(capsys):
    assert command.main(["--replicas", "0"]) == 1
    assert "at least 1" in capsys.readouterr().err
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        assert command.main(["--port", str(taken.getsockname()[1]), "--model", "tiny"]) == 1
    assert "choose another --port" in capsys.readouterr().err


def mm1(rate, service_rate, num, seed=3):
    """Times in the system of an M/M/1 queue, by Lindley's recursion."""
    rng = np.random.default_rng(seed)
    gaps, services = rng.exponential(1 / rate, num), rng.exponential(1 / service_rate, num)
    wait, times = 0.0, []
    for gap, service in zip(gaps, services, strict=True):
        wait = max(0.0, wait - gap)
        times.append(wait := wait + service)
    return np.array(times)


def test_the_rate_search_finds_what_queueing_theory_says():
    want = objectives.mm1_rate(10, 1.0, 0.9)
    assert want == pytest.approx(10 - math.log(10))
    found, tried = objectives.highest_rate(lambda r: np.mean(mm1(r, 10, 100_000) <= 1.0), 0.9, 1.0, 9.9, 1.01)
    assert found == pytest.approx(want, rel=0.03)
    times = mm1(want, 10, 100_000)
    assert np.percentile(times, 90) == pytest.approx(1.0, rel=0.1)
    assert tried[found] >= 0.9 and len(tried) < 20
    exact, _ = objectives.highest_rate(lambda r: 1 - math.exp(-(10 - r) * 1.0), 0.9, 1.0, 9.9, 1.0001)
    assert want / 1.0001 <= exact <= want
    assert objectives.highest_rate(lambda r: 0.0, 0.9, 1.0, 8.0) == (0.0, {1.0: 0.0})
    assert objectives.highest_rate(lambda r: 1.0, 0.9, 1.0, 7.0)[0] == 7.0
    assert objectives.mm1_rate(1, 1.0, 0.99) == 0.0
    for options in ({"lowest": 0}, {"lowest": 9}, {"within": 1}):
        with pytest.raises(ValueError):
            objectives.highest_rate(lambda r: 1.0, 0.9, **{"lowest": 1.0, "highest": 8.0, "within": 1.1} | options)


def test_the_share_within_objectives_counts_failures():
    def request(start_s, first_s, last_s, num_tokens):
        return {"start_s": start_s, "token_times_s": [first_s, last_s], "num_output_tokens": num_tokens}

    rows = [request(1, 2, 3, 11), request(1, 2.1, 3, 11), request(1, 2, 3.1, 11), request(1, 1.5, 1.5, 1)]
    report = {"requests": rows, "num_ok": 4, "num_failed": 4}
    assert objectives.share_within(report, objectives.Objectives(1.0, 0.1)) == 2 / 8


def test_the_autoscaler_goes_up_at_once_and_down_after_the_largest_wish_is_old():
    rng = random.Random(5)
    for _ in range(50):
        target, most, down_s = rng.randint(1, 5), rng.randint(1, 6), rng.choice((0, 10, 30))
        scaler, seen = objectives.Autoscaler(target, 1, most, down_s), []
        for now in range(0, 120, rng.randint(1, 9)):
            num_open = rng.randint(0, 30)
            seen.append((now, min(max(-(-num_open // target), 1), most)))
            assert scaler.replicas(now, num_open) == max(n for t, n in seen if t >= now - down_s)
        with pytest.raises(ValueError, match="back"):
            scaler.replicas(-1, 0)
    with pytest.raises(ValueError):
        objectives.Autoscaler(2, 4, 3)


def test_dollars_are_replicas_times_hours_over_tokens():
    assert objectives.dollars_per_million(2, 3.6, 1000) == pytest.approx(2.0)
    with pytest.raises(ValueError):
        objectives.dollars_per_million(2, 3.6, 0)
