"""The cost figures compute what mini_engine.accounting computes: their `compute` runs in node on random inputs."""

import math
import random
from dataclasses import asdict

from test_figures import figure_results, pytestmark  # noqa: F401  (skips this file too where node is missing)

from mini_engine import accounting as acc
from mini_engine.config import MODELS, ModelConfig


def random_models(rng, count):
    """Model shapes of every kind: head_dim that is not hidden / heads, tied heads, one KV head."""
    models = dict(MODELS)
    for i in range(count):
        kv = rng.choice((1, 2, 3, 4, 8))
        sizes = [rng.randint(1, 60), 8 * rng.randint(1, 900), kv * rng.randint(1, 8), kv, rng.randint(1, 20000)]
        vocab, dim = rng.randint(1, 200_000), 2 * rng.randint(1, 128)
        models[f"random-{i}"] = ModelConfig(f"random-{i}", *sizes, vocab, dim, tie_word_embeddings=rng.random() < 0.5)
    return models


def page_data(models):
    """What the page holds in window.figureData."""
    return {
        "models": {name: asdict(config) for name, config in models.items()},
        "devices": {name: asdict(device) for name, device in acc.DEVICES.items()},
    }


def close(got, expected):
    return math.isclose(got, expected, rel_tol=1e-12)


def test_roofline_agrees_with_accounting():
    rng = random.Random(3)
    models = random_models(rng, 60)
    states = [
        {
            "model": rng.choice(list(models)),
            "device": rng.choice(list(acc.DEVICES)),
            "batch": rng.randint(1, 1024),
            "context": rng.randint(16, 131_072),
        }
        for _ in range(250)
    ]
    fits = 0
    for state, got in zip(states, figure_results("roofline", states, page_data(models)), strict=True):
        config, device = models[state["model"]], acc.DEVICES[state["device"]]
        batch, context = state["batch"], state["context"]
        weights, cache = acc.weight_bytes(config), batch * context * acc.kv_bytes_per_token(config)
        read = 2 * acc.matmul_parameters(config)  # of the embedding a pass reads single rows
        linear = 2 * batch * acc.matmul_parameters(config)
        decode = batch * acc.forward_flops(config, 1, context)
        prefill_bytes = read + context * acc.kv_bytes_per_token(config)
        expected = {
            "linear": (linear, read),
            "attention": (decode - linear, cache),
            "decode": (decode, read + cache),
            "prefill": (acc.forward_flops(config, context), prefill_bytes),
        }
        seconds = {}
        for part, (flops, n_bytes) in expected.items():
            reached = acc.roofline(flops / n_bytes, device.peak_flops, device.bandwidth)
            seconds[part] = flops / reached
            assert close(got[part]["flops"], flops), (part, state)
            assert close(got[part]["bytes"], n_bytes), (part, state)
            assert close(got[part]["reached"], reached), (part, state)
        assert close(got["ridge"], acc.ridge_point(device.peak_flops, device.bandwidth))
        assert close(got["step"], seconds["linear"] + seconds["attention"]), state
        assert got["fits"] == (weights + cache <= device.memory_bytes), state
        fits += got["fits"]
    assert 10 < fits < 240, "the random cases should hold both kinds"


def planner_state(model, device, tp, context, weight_per, kv_per, fraction, share, target_ms):
    return {
        "model": model,
        "device": device,
        "tp": tp,
        "context": context,
        "weight_bytes_per": str(weight_per),
        "kv_bytes_per": str(kv_per),
        "fraction": fraction,
        "share": share,
        "target_ms": target_ms,
    }


def test_capacity_planner_agrees_with_accounting():
    rng = random.Random(6)
    models = random_models(rng, 60)
    cases = [("llama-3-70b", "A100 80GB", 8, 8192, 2, 2, 0.9, 0.7, 50)]
    for _ in range(400):
        size = rng.choice((1, 2, 4, 8, 16)), rng.randint(256, 131_072), rng.choice((2, 1, 0.5)), rng.choice((2, 1, 0.5))
        limits = rng.choice((0.8, 0.9, 1)), rng.choice((0.4, 0.7, 1)), rng.choice((10, 50, 200))
        cases.append((rng.choice(list(models)), rng.choice(list(acc.DEVICES)), *size, *limits))
    results = figure_results("capacity-planner", [planner_state(*case) for case in cases], page_data(models))
    assert (results[0]["batch"], results[0]["fast"], results[0]["serve"]) == (162, 160, 160)
    refused = replicated = 0
    for case, got in zip(cases, results, strict=True):
        model, device, tp, context, weight_per, kv_per, fraction, share, target_ms = case
        config, device = models[model], acc.DEVICES[device]
        memory = device.memory_bytes * fraction
        assert got["weights"] == acc.weight_bytes(config, weight_per), case
        assert got["request"] == acc.kv_bytes_per_token(config, kv_per) * context, case
        try:
            batch = acc.max_batch_size_tp(config, memory, context, weight_per, kv_per, tp, replicate_kv=True)
        except ValueError:
            refused += 1
            assert not got["valid"], case
            continue
        assert got["valid"] and got["batch"] == batch, case
        replicated += got["copies"] > 1
        # the step at the batch that may be served keeps the target, one more would not
        bandwidth = device.bandwidth * share
        step = acc.decode_floor_ms(got["own_weights"], got["serve"] * got["own_request"], bandwidth)
        assert close(got["step"] * 1e3, step), case
        if got["fast"]:
            assert acc.decode_floor_ms(got["own_weights"], got["fast"] * got["own_request"], bandwidth) <= target_ms
        more = acc.decode_floor_ms(got["own_weights"], (got["fast"] + 1) * got["own_request"], bandwidth)
        assert more > target_ms, case
        assert got["serve"] == min(got["fast"], batch), case
    assert refused > 10 and replicated > 10, "the random cases should hold splits of every kind"
