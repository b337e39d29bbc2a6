"""The trace without a model against the engine with one, step for step; and that the pure parts need no torch."""

import subprocess
import sys

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mini_engine.block_manager import BlockManager
from mini_engine.engine import Engine
from mini_engine.model import Llama
from mini_engine.prefix_cache import PrefixCache
from mini_engine.scheduler import Scheduler
from mini_engine.sequence import SamplingParams
from mini_engine.trace import Request, trace
from mini_engine.weights import load_tiny

MODEL = Llama(*load_tiny())


def scheduler(num_blocks=16, block_size=4, prefix=False, **options):
    manager = BlockManager(num_blocks)
    return Scheduler(manager, block_size, prefix_cache=PrefixCache(manager, block_size) if prefix else None, **options)


class Recorder(Scheduler):
    """The engine's scheduler, writing down what it chose."""

    def step(self):
        output = super().step()
        chosen = [(row.seq.seq_id, row.num_new_tokens) for row in output.rows]
        self.log = [*getattr(self, "log", []), (chosen, [seq.seq_id for seq in output.preempted])]
        return output


@settings(max_examples=30)
@given(
    st.lists(st.tuples(st.integers(0, 8), st.integers(1, 20), st.integers(1, 10)), min_size=1, max_size=7).map(sorted),
    st.integers(8, 14),
    st.integers(4, 24),
)
def test_trace_and_engine_choose_the_same_rows(workload, num_blocks, budget):
    options = {"max_num_seqs": 4, "max_num_batched_tokens": budget, "watermark": 0.0}
    requests = [Request(float(arrival), prompt, output) for arrival, prompt, output in workload]
    sequences, steps = trace(scheduler(num_blocks, **options), requests)
    manager = BlockManager(num_blocks)
    recorder = Recorder(manager, 4, **options)
    engine = Engine(MODEL, block_size=4, block_manager=manager, scheduler=recorder)
    now, pending = 0, list(workload)
    while pending or engine.has_unfinished:
        if not engine.has_unfinished:
            now = max(now, pending[0][0])
        while pending and pending[0][0] <= now:
            _, prompt, output = pending.pop(0)
            engine.add_request([1] * prompt, SamplingParams(max_tokens=output))
        engine.step()
        now += 1
    got = [([(row["seq_id"], row["num_new_tokens"]) for row in s["rows"]], s["preempted"]) for s in steps]
    assert got == recorder.log
    assert [seq.num_output_tokens for seq in sequences] == [output for _, _, output in workload]


def test_the_clock_gives_ttft_and_itl():
    """Two requests by hand: 6 prompt tokens in chunks of 4, a step costs 1 s and 0.5 s a token."""
    options = {"max_num_seqs": 2, "max_num_batched_tokens": 4}
    sequences, steps = trace(scheduler(**options), [Request(0, 6, 2), Request(1, 1, 1)], lambda n: 1 + 0.5 * n)
    assert [[row["num_new_tokens"] for row in step["rows"]] for step in steps] == [[4], [2, 1], [1]]
    assert [[row["is_prefill"] for row in step["rows"]] for step in steps] == [[True], [True, True], [False]]
    assert [(step["start_s"], step["end_s"]) for step in steps] == [(0, 3), (3, 5.5), (5.5, 7)]
    assert sequences[0].token_times == [5.5, 7] and sequences[1].ttft_s == 4.5
    assert steps[1]["block_tables"] == {0: [0, 1], 1: [2]} and steps[1]["num_free_blocks"] == 13


def test_a_shared_prompt_hits_the_prefix_cache():
    system = tuple(range(8))
    sequences, steps = trace(scheduler(prefix=True), [Request(0, (*system, 50), 1), Request(5, (*system, 60), 1)])
    assert [seq.num_cached_tokens for seq in sequences] == [0, 8]
    assert steps[1]["start_s"] == 5 and steps[1]["rows"][0]["num_new_tokens"] == 1


def test_requests_that_do_not_end_are_reported():
    class Idle(Scheduler):
        def step(self):
            output = super().step()
            output.rows = []
            return output

    with pytest.raises(RuntimeError, match="do not end"):
        trace(Idle(BlockManager(8), 4), [Request(0, 3, 2)])


@pytest.mark.parametrize("module", ["trace", "scheduler", "prefix_cache", "sequence", "speculative", "tokenizer"])
def test_pure_modules_need_no_torch(module):
    code = f"import sys; sys.modules['torch'] = None; import mini_engine.{module}"
    subprocess.run([sys.executable, "-c", code], check=True)
