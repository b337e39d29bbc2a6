"""Topic 13: its figure computes what mini_engine computes, and its worked examples hold."""

import math
import random

import test_cost_figures as cost
import test_figures as figures

from mini_engine import accounting as acc

pytestmark = figures.pytestmark


def test_decode_step_figure_agrees_with_accounting():
    rng = random.Random(13)
    models = cost.random_models(rng, 60)
    states = [
        {
            "model": rng.choice(list(models)),
            "device": rng.choice(list(acc.DEVICES)),
            "kernels": rng.randint(0, 1500),
            "launch_us": rng.choice((0, rng.uniform(0, 12))),
            "batch": rng.choice((1, rng.randint(1, 1024))),
            "context": rng.randint(1, 32_768),
        }
        for _ in range(300)
    ]
    rules = set()
    for state, got in zip(states, figures.figure_results("decode-step", states, cost.page_data(models)), strict=True):
        config, device, batch = models[state["model"]], acc.DEVICES[state["device"]], state["batch"]
        kv = batch * state["context"] * acc.kv_bytes_per_token(config)
        launches = state["kernels"] * state["launch_us"] * 1e-6
        arithmetic = batch * acc.forward_flops(config, 1, state["context"]) / device.peak_flops
        assert cost.close(got["launches"], launches) and cost.close(got["arithmetic"], arithmetic), state
        for row, bytes_per in zip(got["rows"], (2, 1, 0.5), strict=True):
            weights = acc.weight_bytes(config, bytes_per)
            reading = acc.decode_floor_ms(weights, kv, device.bandwidth) / 1e3
            parts = {"launches": launches, "reading": reading, "arithmetic": arithmetic}
            assert row["bytes"] == weights + kv, state
            assert cost.close(row["reading"], reading), state
            assert cost.close(row["step"], launches + max(reading, arithmetic)), state
            assert cost.close(row["tokens_per_s"], batch / row["step"]), state
            work = max(reading, arithmetic)
            assert parts[row["rules"]] >= max(launches, work) * (1 - 1e-12), state
            rules.add(row["rules"])
        assert cost.close(got["gain"], got["rows"][0]["step"] / got["rows"][1]["step"]), state
    assert rules == {"launches", "reading", "arithmetic"}, "the random cases should hold every kind"


def test_the_figure_opens_where_launches_rule():
    """The page says so in its text alternative: SmolLM2-135M on an H200, 450 kernels of 5 µs."""
    opened = {
        "model": "smollm2-135m",
        "device": "H200 141GB",
        "kernels": 450,
        "launch_us": 5,
        "batch": 1,
        "context": 128,
    }
    data = cost.page_data(cost.MODELS)
    (first,) = figures.figure_results("decode-step", [opened], data)
    assert first["rows"][0]["rules"] == "launches" and math.isclose(first["launches"], 2.25e-3)
    assert first["gain"] < 1.02
    (large,) = figures.figure_results("decode-step", [opened | {"model": "llama-2-7b", "launch_us": 2}], data)
    assert large["rows"][0]["rules"] == "reading" and 1.5 < large["gain"] < 1.7
