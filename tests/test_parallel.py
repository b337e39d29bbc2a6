"""One model on several processes: the same text as one, the bytes of the formula, and never a hang."""

import os
import queue
import signal
import threading
import time
from dataclasses import replace

import numpy as np
import pytest
import torch
from test_figures import figure_results

from mini_engine.config import LLAMA_3_8B, MODELS, SMOLLM2_135M, TINY
from mini_engine.generate import generate
from mini_engine.model import Llama
from mini_engine.parallel import __main__ as command
from mini_engine.parallel import launch, traffic
from mini_engine.parallel.links import all_gather, all_reduce
from mini_engine.parallel.split import heads_of, share, stage_part, tensor_part
from mini_engine.weights import load_smollm2, load_tiny, smollm2_is_cached

PROMPTS = [[72, 101, 108, 108, 111], [84, 104, 101], [300, 7, 19, 5]]


class Queues:
    """What the collectives need, between threads: rank, size, send, recv. It counts messages and bytes."""

    def __init__(self, rank, size, boxes):
        self.rank, self.size, self.boxes = rank, size, boxes
        self.num_messages = self.num_bytes = 0

    def send(self, x, to):
        self.num_messages, self.num_bytes = self.num_messages + 1, self.num_bytes + x.nbytes
        self.boxes[self.rank, to].put(x.clone())

    def recv(self, like, source):
        x = self.boxes[source, self.rank].get(timeout=10)
        assert x.shape == like.shape and x.dtype == like.dtype
        return x


def on_ranks(size, work):
    """[(result, links) of work(links)] on `size` threads."""
    boxes = {(a, b): queue.Queue() for a in range(size) for b in range(size)}
    links = [Queues(rank, size, boxes) for rank in range(size)]
    found = [None] * size

    def run(rank):
        found[rank] = work(links[rank])

    threads = [threading.Thread(target=run, args=(rank,), daemon=True) for rank in range(size)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(20)
    assert all(each is not None for each in found), "a rank did not end"
    return list(zip(found, links, strict=True))


@pytest.mark.parametrize("size", [1, 2, 3, 4, 7])
def test_all_reduce_is_the_sum_with_the_same_bits_everywhere_and_costs_the_formula(size):
    rng = torch.Generator().manual_seed(size)
    arrays = [torch.randn(3, 37, generator=rng) for _ in range(size)]
    before = [array.clone() for array in arrays]
    results = on_ranks(size, lambda links: all_reduce(links, arrays[links.rank]))
    want = torch.stack(arrays).double().sum(0).float()
    for got, _ in results:
        torch.testing.assert_close(got, want)
        assert torch.equal(got, results[0][0]), "ranks that differ in a bit may choose different tokens"
    assert all(map(torch.equal, arrays, before))
    formula = traffic.all_reduce_traffic(size, want.nbytes)
    assert sum(links.num_messages for _, links in results) == formula.num_messages
    assert sum(links.num_bytes for _, links in results) == formula.num_bytes


def test_all_gather_keeps_the_order_of_ranks():
    for got, links in on_ranks(4, lambda links: all_gather(links, torch.tensor([links.rank * 1.0]))):
        assert torch.cat(got).tolist() == [0, 1, 2, 3] and links.num_messages == 3


@pytest.mark.parametrize("config, sizes", [(TINY, (1, 2, 4)), (SMOLLM2_135M, (1, 2, 3, 6, 9)), (LLAMA_3_8B, (8, 16))])
def test_every_query_head_is_held_once_beside_its_kv_head(config, sizes):
    group = config.num_attention_heads // config.num_key_value_heads
    for size in sizes:
        held = []
        for rank in range(size):
            queries, kept = heads_of(config, rank, size)
            held += queries
            assert len(queries) % len(kept) == 0
            for place, head in enumerate(queries):
                assert kept[place // (len(queries) // len(kept))] == head // group
        assert held == list(range(config.num_attention_heads))
    with pytest.raises(ValueError, match="5 ranks"):
        heads_of(replace(config, num_key_value_heads=1, num_attention_heads=4), 0, 5)


def test_the_parts_are_the_whole():
    config, weights = load_tiny()
    for size in (2, 4):
        parts = [tensor_part(config, weights, rank, size)[1] for rank in range(size)]
        for name, axis in (("w_q", 1), ("w_o", 0), ("w_gate", 1), ("w_up", 1), ("w_down", 0)):
            whole = np.concatenate([part["layers"][1][name] for part in parts], axis)
            np.testing.assert_array_equal(whole, weights["layers"][1][name])
        rows = np.concatenate([part["embedding"] for part in parts])
        np.testing.assert_array_equal(rows, weights["embedding"])
    stages = [stage_part(config, weights, rank, 2)[1]["layers"] for rank in range(2)]
    assert sum(stages, []) == weights["layers"]
    assert [len(share(9, rank, 2)) for rank in range(2)] == [4, 5]


@pytest.mark.parametrize("size, how", [(2, "tensor"), (4, "tensor"), (2, "pipeline"), (1, "pipeline")])
def test_processes_write_the_same_text_and_send_what_the_formula_says(size, how):
    config, weights = load_tiny()
    model = Llama(config, weights)
    got = launch.generate_on(size, PROMPTS, 12, how, "tiny")
    assert got.tokens == [list(generate(model, ids, 12)) for ids in PROMPTS]
    formula = traffic.generation_traffic(config, how, size, [len(ids) for ids in PROMPTS], 12)
    assert (got.num_messages, got.num_bytes) == (formula.num_messages, formula.num_bytes)


@pytest.mark.skipif(not smollm2_is_cached(), reason="SmolLM2 is not downloaded")
def test_the_real_model_on_two_processes():
    config, weights = load_smollm2()
    ids = [504, 3575, 28, 665, 253, 2068]
    got = launch.generate_on(2, [ids], 8)
    assert got.tokens == [list(generate(Llama(config, weights), ids, 8))]
    formula = traffic.generation_traffic(config, "tensor", 2, [len(ids)], 8)
    assert (got.num_messages, got.num_bytes) == (formula.num_messages, formula.num_bytes)


def one_word_later(processes, signal_number):
    threading.Timer(4, lambda: os.kill(processes[1].pid, signal_number)).start()


@pytest.mark.skipif(not hasattr(signal, "SIGSTOP"), reason="no such signals here")
@pytest.mark.parametrize("number, timeout_s", [(signal.SIGKILL, 600), (signal.SIGSTOP, 5)])
@pytest.mark.parametrize("how", ["tensor", "pipeline"])
def test_a_rank_that_dies_or_stops_ends_the_run(number, timeout_s, how):
    """Killed: seen at once, whatever the timeout. Stopped: seen when its neighbour has waited long enough."""
    alive = []

    def started(processes):
        alive.extend(processes)
        one_word_later(processes, number)

    start = time.monotonic()
    with pytest.raises(launch.RankLost, match=r"rank \d of 2 .*others were stopped"):
        # so much work that even a quiet machine is not done before the signal comes
        launch.generate_on(2, [[1, 2, 3]] * 40, 1000, how, "tiny", timeout_s, started)
    # no timing: a bound far above what it takes, so that a hang is a failure and not a stuck test run
    assert time.monotonic() - start < 120
    assert not any(process.is_alive() for process in alive)


@pytest.mark.parametrize(
    "size, prompts, num_new, how, word",
    [
        (3, PROMPTS, 2, "tensor", "3 ranks"),
        (3, PROMPTS, 2, "pipeline", "3 stages"),
        (0, PROMPTS, 2, "tensor", "got tensor, 0"),
        (2, [], 2, "tensor", "1 prompt"),
        (2, [[600]], 2, "tensor", "600"),
        (2, PROMPTS, 2000, "tensor", "context"),
        (2, PROMPTS, 2, "expert", "expert"),
    ],
)
def test_a_request_that_cannot_be_served_is_refused_before_a_process_starts(size, prompts, num_new, how, word):
    def started(processes):
        raise AssertionError("a process was started")

    with pytest.raises(ValueError, match=word):
        launch.generate_on(size, prompts, num_new, how, "tiny", started=started)


def test_the_command_compares_and_says_what_is_wrong(capsys):
    assert command.main(["The sea", "is", "--model", "tiny", "--how", "pipeline", "--max-tokens", "3"]) == 0
    printed = capsys.readouterr().out
    assert "the same text as one process" in printed and "formula" in printed
    assert command.main(["x", "--model", "tiny", "--processes", "3"]) == 1
    assert capsys.readouterr().err.startswith("parallel: 3 ranks cannot share 2 KV heads")


def test_the_bubble_is_the_idle_part_of_a_schedule():
    for stages in range(1, 6):
        for batches in range(1, 8):
            busy = {(stage, batch + stage) for stage in range(stages) for batch in range(batches)}
            ticks = max(tick for _, tick in busy) + 1
            assert traffic.bubble_share(stages, batches) == pytest.approx(1 - len(busy) / (stages * ticks))


def figure_state(name, size, link, latency, batch, context):
    return {"model": name, "size": size, "link": link, "latency": latency, "batch": batch, "context": context}


def test_the_figure_computes_what_traffic_computes():
    memory = 3.35e12
    states, wanted = [], []
    for name, config in MODELS.items():
        for size, link, latency, batch, context in (
            (1, 450e9, 1, 1, 128), (2, 450e9, 3, 1, 4096), (3, 64e9, 5, 8, 1024), (4, 64e9, 0, 32, 8192),
            (8, 12.5e9, 10, 64, 1024), (16, 450e9, 2, 1, 1024), (64, 450e9, 2, 1, 1024),
        ):  # fmt: skip
            states.append(figure_state(name, size, link, latency, batch, context))
            try:
                wanted.append(traffic.tensor_step_s(config, size, memory, link, latency / 1e6, batch, context))
            except ValueError:
                wanted.append(None)
    models = {
        name: {field: getattr(config, field) for field in config.__dataclass_fields__}
        for name, config in MODELS.items()
    }
    refused = 0
    for state, got, want in zip(
        states, figure_results("many-devices", states, {"models": models}), wanted, strict=True
    ):
        if want is None:
            refused += 1
            assert not got["fits"], state
        else:
            assert got["fits"], state
            assert got["read_s"] == pytest.approx(want[0], rel=1e-9), state
            assert got["talk_s"] == pytest.approx(want[1], rel=1e-9, abs=1e-15), state
    assert refused > 3
