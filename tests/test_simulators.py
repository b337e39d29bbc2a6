"""The simulators of assignment 10, the figure `batching` and the engine's scheduler agree, step for step."""

import random
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from test_figures import NODE, figure_results

from autograder.assignment.script import read_script
from mini_engine.block_manager import BlockManager
from mini_engine.scheduler import Scheduler
from mini_engine.trace import Request, trace

ROOT = Path(__file__).resolve().parents[1]
SCRIPT = ROOT / "solutions" / "10_continuous_batching" / "10_continuous_batching.py"


class StaticScheduler(Scheduler):
    """The engine's scheduler with its door closed while anybody runs."""

    def step(self):
        hidden = None
        if self.running:
            hidden, self.waiting = self.waiting, type(self.waiting)()
        output = super().step()
        if hidden:
            self.waiting.extend(hidden)
        return output


@pytest.fixture(scope="module")
def answers():
    """The reference answers of the assignment, by name."""
    scope = {}
    for cell in read_script(SCRIPT):
        if cell.kind in ("setup", "solution"):
            exec(compile(cell.source, f"{SCRIPT.name}:{cell.line}", "exec"), scope)
    return scope


def serve(kind, requests, num_blocks=10_000, block_size=16, step_s=lambda num_tokens: 1.0, **options):
    options = {"max_num_seqs": 100, "max_num_batched_tokens": 100_000, "watermark": 0.0} | options
    return trace(kind(BlockManager(num_blocks), block_size, **options), requests, step_s)


def by_step(steps, num_steps, value, idle):
    """One value per step of length 1, idle steps included."""
    rows = [idle] * num_steps
    for step in steps:
        rows[int(step["start_s"])] = value(step)
    return rows


REQUESTS = st.lists(st.tuples(st.integers(0, 12), st.integers(1, 12), st.integers(1, 9)), min_size=1, max_size=10).map(
    sorted
)


def workload(tuples):
    requests = [{"id": i, "arrival": a, "prompt": p, "output": o} for i, (a, p, o) in enumerate(tuples)]
    return requests, [Request(float(a), p, o) for a, p, o in tuples]


@pytest.mark.parametrize("name, kind", [("simulate_static", StaticScheduler), ("simulate_continuous", Scheduler)])
@settings(max_examples=150)
@given(tuples=REQUESTS, places=st.integers(1, 5))
def test_batches_agree_with_the_engine(answers, name, kind, tuples, places):
    plain, requests = workload(tuples)
    got = answers[name](plain, places)
    sequences, steps = serve(kind, requests, max_num_seqs=places)
    assert got["num_steps"] == steps[-1]["end_s"]
    assert got["running"] == by_step(steps, got["num_steps"], lambda step: [r["seq_id"] for r in step["rows"]], [])
    assert got["latency"] == {seq.seq_id: seq.token_times[-1] - seq.arrival_time for seq in sequences}


@settings(max_examples=200)
@given(tuples=REQUESTS, block_size=st.integers(1, 5), spare=st.integers(0, 4))
def test_memory_agrees_with_the_engine(answers, tuples, block_size, spare):
    plain, requests = workload(tuples)
    num_blocks = spare + max(-(-(p + o - 1) // block_size) for _, p, o in tuples)
    got = answers["simulate_with_memory"](plain, num_blocks, block_size, "preempt")
    _, steps = serve(Scheduler, requests, num_blocks, block_size)
    num_steps = got["num_steps"]
    assert num_steps == steps[-1]["end_s"]
    assert got["running"] == by_step(steps, num_steps, lambda step: [r["seq_id"] for r in step["rows"]], [])
    assert got["preempted"] == by_step(steps, num_steps, lambda step: step["preempted"], [])
    assert got["used_blocks"] == by_step(steps, num_steps, lambda step: num_blocks - step["num_free_blocks"], 0)


@settings(max_examples=150)
@given(
    tuples=REQUESTS,
    block_size=st.integers(1, 5),
    spare=st.integers(0, 4),
    places=st.integers(1, 5),
    more=st.integers(0, 12),
)
def test_the_plugged_in_scheduler_agrees_with_the_engine(answers, tuples, block_size, spare, places, more):
    _, requests = workload(tuples)
    num_blocks = spare + max(-(-(p + o - 1) // block_size) for _, p, o in tuples)
    manager = BlockManager(num_blocks)
    plan = answers["BatchScheduler"](num_blocks, block_size, places, places + more)
    _, got = trace(answers["EngineScheduler"](plan, manager, block_size), requests)
    _, want = serve(
        Scheduler, requests, num_blocks, block_size, max_num_seqs=places, max_num_batched_tokens=places + more
    )
    assert [(step["rows"], step["preempted"]) for step in got] == [(step["rows"], step["preempted"]) for step in want]
    assert manager.num_free_blocks == num_blocks


@settings(max_examples=100)
@given(tuples=REQUESTS, places=st.integers(1, 5), more=st.integers(0, 12))
def test_schedule_step_agrees_with_the_engine(answers, tuples, places, more):
    class Compared(Scheduler):
        def step(self):
            def plain(queue):
                return [{"id": s.seq_id, "tokens": s.num_tokens, "computed": s.num_computed_tokens} for s in queue]

            state = {"running": plain(self.running), "waiting": plain(self.waiting), "max_num_seqs": places}
            got = answers["schedule_step"](state, places + more)
            output = super().step()
            assert got == [[row.seq.seq_id, row.num_new_tokens] for row in output.rows]
            return output

    serve(Compared, workload(tuples)[1], max_num_seqs=places, max_num_batched_tokens=places + more)


def test_both_notebooks_have_the_same_schedule_step(answers):
    """Assignment 12 stands alone, so its set-up cell repeats the function that assignment 10 asks for."""
    other = ROOT / "solutions" / "12_mini_server" / "12_mini_server.py"
    scope = {}
    exec(next(cell.source for cell in read_script(other) if cell.kind == "setup"), scope)
    rng = random.Random(12)
    for _ in range(300):
        queues = [
            [
                {"id": rng.random(), "tokens": rng.choice((5, rng.randint(5, 30))), "computed": rng.randint(0, 4)}
                for _ in range(rng.randint(0, 5))
            ]
            for _ in range(2)
        ]
        state = {"running": queues[0], "waiting": queues[1], "max_num_seqs": rng.randint(1, 8)}
        budget = rng.randint(1, 40)
        assert scope["schedule_step"](state, budget) == answers["schedule_step"](state, budget)


def random_state(rng):
    requests = [
        (
            rng.choice((0, 0, rng.randint(0, 60))),
            rng.choice((rng.randint(1, 8), rng.randint(1, 80))),
            rng.randint(1, 15),
        )
        for _ in range(rng.randint(1, 12))
    ]
    text = ", ".join(":".join(map(str, request)) for request in requests)
    sizes = {"places": rng.randint(1, 6), "budget": rng.randint(1, 64), "flat": rng.randint(1, 32)}
    return requests, {"requests": text, **sizes}


@pytest.mark.skipif(NODE is None, reason="node is not installed: the figure's scheduler is not checked")
def test_the_figure_agrees_with_the_engine():
    """300 random workloads, three ways each: every row of every step and every token's time."""
    rng = random.Random(10)
    cases = [random_state(rng) for _ in range(300)]
    num_chunked = 0
    for (tuples, state), got in zip(cases, figure_results("batching", [state for _, state in cases]), strict=True):
        assert got["valid"], state
        requests = [Request(float(arrival), prompt, output) for arrival, prompt, output in tuples]
        places, budget = state["places"], max(state["budget"], state["places"])
        for name, kind, options in (
            ("static", StaticScheduler, {"chunked_prefill": False}),
            ("continuous", Scheduler, {"chunked_prefill": False}),
            ("chunked", Scheduler, {"max_num_batched_tokens": budget}),
        ):

            def step_s(num_tokens, flat=state["flat"]):
                return float(max(flat, num_tokens))

            sequences, steps = serve(kind, requests, step_s=step_s, max_num_seqs=places, **options)
            case = f"{name}: {state}"
            want = [
                [s["start_s"], s["end_s"], [[r["seq_id"], r["num_new_tokens"], r["is_prefill"]] for r in s["rows"]]]
                for s in steps
            ]
            assert [[s["start"], s["end"], s["rows"]] for s in got[name]["steps"]] == want, case
            assert got[name]["times"] == [seq.token_times for seq in sequences], case
            gaps = [b - a for seq in sequences for a, b in zip(seq.token_times, seq.token_times[1:], strict=False)]
            assert got[name]["longest_gap"] == max(gaps, default=0), case
            ttft = [seq.ttft_s for seq in sequences]
            assert got[name]["mean_ttft"] == pytest.approx(sum(ttft) / len(ttft)) and got[name]["last_ttft"] == max(
                ttft
            )
            held = sum(len(s["rows"]) * (s["end_s"] - s["start_s"]) for s in steps)
            assert got[name]["used"] == pytest.approx(held / (places * steps[-1]["end_s"])), case
            num_chunked += name == "chunked" and len(steps) > len(got["continuous"]["steps"])
    assert num_chunked > 50, "the random workloads should need chunks"


@pytest.mark.skipif(NODE is None, reason="node is not installed: the figure's scheduler is not checked")
@pytest.mark.parametrize(
    "text", ["", " , ", "1:2", "0:0:3", "0:3:0", "a:1:1", "0:1:1:1", "-1:2:3", ", ".join(["0:1:1"] * 13)]
)
def test_the_figure_refuses_what_it_cannot_read(text):
    (got,) = figure_results("batching", [{"requests": text, "places": 2, "budget": 8, "flat": 4}])
    assert not got["valid"] and got["problem"]


@pytest.mark.skipif(NODE is None, reason="node is not installed: the figure's scheduler is not checked")
def test_the_text_alternative_is_true():
    """The chapter tells in words what the figure shows first."""
    state = {"requests": "0:4:14, 0:4:3, 3:30:4, 20:4:6, 40:4:8, 60:6:3", "places": 3, "budget": 12, "flat": 8}
    (got,) = figure_results("batching", [state])
    ends = [got[name]["end"] for name in ("static", "continuous", "chunked")]
    gaps = [got[name]["longest_gap"] for name in ("static", "continuous", "chunked")]
    assert (ends, gaps) == ([230, 136, 132], [8, 32, 12])
