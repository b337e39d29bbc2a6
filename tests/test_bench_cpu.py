"""bench cpu: the arithmetic on made-up times, and one real run on the shipped checkpoint. No clock is judged."""

import json
from argparse import Namespace

import pytest
import torch

from mini_engine import loading
from mini_engine.__main__ import main
from mini_engine.bench import cpu as bench_cpu
from mini_engine.bench import cpu_batch as bench_cpu_batch
from mini_engine.bench import cpu_server
from mini_engine.weights import load_tiny


class Clock:
    """Stands in for the time module: peers advance it by what they are meant to take."""

    now = 0.0

    def perf_counter(self):
        return self.now


def made_up_peer(clock, prefill, tpot):
    """The first token after `prefill` seconds, each further one `tpot` later; every run is 10% slower than the last."""
    runs = []

    def run(ids, num_new):
        runs.append(1.1 ** len(runs))
        times = [clock.now + runs[-1] * (prefill + i * tpot) for i in range(num_new)]
        clock.now = times[-1]
        return times

    return run


def test_times_and_ratios(monkeypatch):
    clock = Clock()
    monkeypatch.setattr(bench_cpu, "time", clock)
    monkeypatch.setattr(bench_cpu, "read_bandwidth", lambda device: 2e9)
    peers = {"float32": made_up_peer(clock, 2.0, 0.5), "int8": made_up_peer(clock, 1.0, 0.25)}
    bar = Namespace(update=lambda: None)
    rounds, bandwidths = bench_cpu.race(peers, [1] * 10, Namespace(rounds=3, new_tokens=5), bar)
    model = bench_cpu.load("tiny")[0]
    summary = bench_cpu.summarize(rounds, bandwidths, {"float32": model}, context=10)
    row = summary["peers"]["float32"]
    # the warm-up is dropped, so the rounds are 1.1, 1.21 and 1.331 times as slow
    assert row["tpot_ms"] == pytest.approx({"median": 605, "min": 550, "max": 665.5})
    assert row["prefill_tokens_per_s"]["median"] == pytest.approx(10 / 2.42)
    assert row["floor_ms"] == pytest.approx(1e3 * bench_cpu.bytes_read_per_token(model) / 2e9)
    assert summary["peers"]["int8"]["tpot_ms"]["median"] == pytest.approx(302.5)
    assert "floor_ms" not in summary["peers"]["int8"]
    assert summary["claims"] == {"int8 against float32": pytest.approx({"median": 2, "min": 2, "max": 2})}
    assert row["bandwidth_share"] == pytest.approx(row["floor_ms"] / 605)
    rounds["no cache"] = [(1.0, 8 * tpot) for _, tpot in rounds["float32"]]
    claims = bench_cpu.summarize(rounds, bandwidths, {}, context=10)["claims"]
    assert claims["KV cache against none"] == pytest.approx({"median": 8, "min": 8, "max": 8})


def test_a_step_leaves_the_cache_as_it_was():
    model = bench_cpu.load("tiny")[0]
    torch.manual_seed(0)
    step = bench_cpu_batch.decode_step(model, batch=3, context=20)
    first, second = step(), step()
    assert first.shape == (3,) and torch.equal(first, second)


def test_batch_claims_are_ratios_within_a_round():
    times = {("float32", 1): [9.0], ("float32", 64): [1.0, 2.0, 4.0], ("llama.cpp Q4_1", 64): [1.5, 4.0, 4.0]}
    assert bench_cpu_batch.batch_claims(times, 64) == {
        "float32 against llama.cpp Q4_1, batch 64": {"median": 1.5, "min": 1.0, "max": 2.0}
    }


def test_real_run_on_the_shipped_checkpoint(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(bench_cpu, "load", lambda **options: loading.load("tiny", **options))
    monkeypatch.setattr(bench_cpu, "load_smollm2", load_tiny)
    monkeypatch.setattr(bench_cpu, "read_bandwidth", lambda device: 1e10)
    arguments = ["bench", "cpu", "--contexts", "8", "--rounds", "2", "--new-tokens", "4", "--batches", "1", "2"]
    arguments += ["--parts", "single", "batch", "verify"]
    arguments += ["--only", "float32", "int8", "int4", "no cache", "transformers float32"]
    paths = ["--json", str(tmp_path / "r.json"), "--plot", str(tmp_path / "r.png")]
    assert main([*arguments, *paths]) == 0
    results = json.loads((tmp_path / "r.json").read_text())
    (context,) = results["contexts"]
    assert list(context["peers"]) == ["float32", "int8", "int4", "no cache", "transformers float32"]
    assert len(context["claims"]) == 4 and all(
        0 < c["min"] <= c["median"] <= c["max"] for c in context["claims"].values()
    )
    floors = [context["peers"][name]["weight_bytes"] for name in ("float32", "int8", "int4")]
    assert floors[0] > 3 * floors[1] > 3 * floors[2]
    assert set(results["batch"]["int4"]) == {"1", "2"}
    assert results["batch_claims"] == {} and results["bench"] == "cpu" and len(results["machine"]["date"]) == 10
    assert (tmp_path / "r.png").read_bytes()[1:4] == b"PNG"
    assert "times as fast" in capsys.readouterr().out
    assert set(results["verification"]) == {f"{n}, {k} draft tokens" for n in ("int8", "float32") for k in (2, 5)}
    assert main(["bench", "cpu", "--rounds", "0"]) == 1


def test_the_server_beside_the_bare_batch(monkeypatch):
    monkeypatch.setattr(cpu_server, "MAX_TOKENS", 4)
    result = cpu_server.server_race(loading.load("tiny", "int8")[0], 2, "tiny")
    assert result["num_streams"] == 32
    assert all(0 < result[key]["min"] <= result[key]["max"] for key in ("served", "bare", "share"))
