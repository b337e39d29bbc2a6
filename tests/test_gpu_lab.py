"""Chapter 14: its figure computes what mini_engine computes, its worked examples hold, it shows a recorded run."""

import argparse
import math
import random
import re
from pathlib import Path

import pytest
import test_cost_figures as cost
import test_figures as figures

from mini_engine import accounting as acc
from mini_engine import config as configs
from mini_engine.bench import gpu as bench_gpu
from mini_engine.bench import gpu_report

ROOT = Path(__file__).resolve().parents[1]
CHAPTER = (ROOT / "book" / "14_gpu_lab.md").read_text(encoding="utf-8")
needs_node = figures.pytestmark


@needs_node
def test_decode_step_figure_agrees_with_accounting():
    rng = random.Random(13)
    models = cost.random_models(rng, 60)
    states = [
        {
            "model": rng.choice(list(models)),
            "device": rng.choice(list(acc.DEVICES)),
            "how": rng.choice(("queued", "graph")),
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
            parts = {"launches": launches, "gaps": launches, "reading": reading, "arithmetic": arithmetic}
            assert row["bytes"] == weights + kv, state
            assert cost.close(row["reading"], reading), state
            each = state["launch_us"] * 1e-6
            starts = {"gap_s" if state["how"] == "graph" else "launch_s": each}
            bytes_of_all = (weights + kv, device.bandwidth, state["kernels"])
            flops = batch * acc.forward_flops(config, 1, state["context"])
            step = acc.step_seconds(*bytes_of_all, **starts, flops=flops, peak_flops=device.peak_flops)
            assert cost.close(row["step"], step), state
            assert cost.close(row["tokens_per_s"], batch / row["step"]), state
            work = max(reading, arithmetic)
            assert parts[row["rules"]] >= max(launches, work) * (1 - 1e-12), state
            rules.add(row["rules"])
        assert cost.close(got["gain"], got["rows"][0]["step"] / got["rows"][1]["step"]), state
    assert rules == {"launches", "gaps", "reading", "arithmetic"}, "the random cases should hold every kind"


@needs_node
def test_the_figure_opens_where_launches_rule():
    """The page says so in its text alternative: SmolLM2-135M on an H200, 1,160 kernels of 5 µs."""
    opened = {
        "model": "smollm2-135m",
        "device": "H200 141GB",
        "how": "queued",
        "kernels": 1160,
        "launch_us": 5,
        "batch": 1,
        "context": 128,
    }
    data = cost.page_data(cost.MODELS)
    (first,) = figures.figure_results("decode-step", [opened], data)
    assert first["rows"][0]["rules"] == "launches" and math.isclose(first["launches"], 5.8e-3)
    assert first["gain"] == 1
    large = {"model": "llama-2-7b", "how": "graph", "launch_us": 1.3}
    (large,) = figures.figure_results("decode-step", [opened | large], data)
    assert large["rows"][0]["rules"] == "reading" and 1.45 < large["gain"] < 1.5


@pytest.fixture(scope="module")
def quick_run(tmp_path_factory):
    """A folder with gpu_run.json: the parts of `bench gpu` that have a table or a plot, in their smallest sizes."""
    path = tmp_path_factory.mktemp("run") / "gpu_run.json"
    parser = argparse.ArgumentParser()
    parser.add_argument("--json")
    parser.add_argument("--plot")
    bench_gpu.add_arguments(parser)
    parts = ["check", "road", "stack", "quantized", "batch_sweep", "int8_kv", "serving"]
    assert bench_gpu.run(parser.parse_args(["--quick", "--device", "cpu", "--json", str(path), "--only", *parts])) == 0
    return path.parent


def show_recorded(folder, capsys):
    """What the cell under "On a GPU" prints, and the plots it shows, when its data lie in `folder`."""
    part = CHAPTER.split("### On a GPU\n", 1)[1]
    cell = re.search(r"```{code-cell} python\n:tags: [^\n]*\n(.*?)```", part, re.S).group(1)
    shown = []
    names = {name: getattr(gpu_report, name) for name in ("PLOTS", "ceiling_lines", "part_lines")}
    names |= {"step_seconds": acc.step_seconds, "h200": acc.H200_141GB, "SMOLLM2_135M": configs.SMOLLM2_135M}
    names |= {"num_kernels": 1156, "small": acc.weight_bytes(configs.SMOLLM2_135M)}
    capsys.readouterr()
    exec(cell, names | {"folder": folder, "load_run": bench_gpu.load_run, "show": lambda fig, alt: shown.append(alt)})
    return capsys.readouterr().out, shown


def test_chapter_shows_a_recorded_run(quick_run, capsys):
    text, shown = show_recorded(quick_run, capsys)
    run = bench_gpu.load_run(quick_run / "gpu_run.json")
    assert run["machine"]["name"] in text and run["machine"]["date"] in text, "a recorded run is named and dated"
    for word in ("static cache", "int8", "batch 2", "of the bandwidth"):
        assert word in text, f"the recorded run does not show {word!r}"
    assert len(shown) == len(gpu_report.PLOTS)


def test_chapter_marks_what_it_predicts(tmp_path, capsys):
    text, shown = show_recorded(tmp_path, capsys)
    assert text.startswith("predicted") and "nothing here was measured" in text and not shown


def reference(name):
    """The reference function `name` of the assignment, without running the whole script."""
    script = (ROOT / "solutions" / "14_gpu_lab" / "14_gpu_lab.py").read_text(encoding="utf-8")
    cell = next(part for part in script.split("\n# %% ") if part.startswith(f'solution="{name}"'))
    scope = {}
    exec(cell.split("\n", 1)[1], scope)
    return scope[name]


def test_worked_examples_of_the_chapter_hold():
    assert round((56 + 1500) / (28 + 1500), 2) == 1.02 and "(56 + 1500) / (28 + 1500) = 1.02" in CHAPTER
    step = reference("predicted_step_s")
    assert round(step(56, 1e6, 1156, 0, 1.3e-6) / step(28, 1e6, 1156, 0, 1.3e-6), 2) == 1.02
    assert step(56, 1e6, 1156, 5e-6) == step(28, 1e6, 1156, 5e-6)
    small = cost.MODELS["smollm2-135m"]
    assert round(1e6 * acc.weight_bytes(small) / acc.H200_141GB.bandwidth) == 56
    for numbers in ((56, 1e6, 450, 2e-6, 0.0), (56, 1e6, 450, 0.0, 2e-6), (5600, 1e6, 450, 2e-6, 1e-6)):
        assert step(*numbers) == acc.step_seconds(*numbers)
    ridge = reference("ridge_batch")
    assert (ridge(4, 60, 0, 100, 10), ridge(20, 300, 1, 100, 10), ridge(4, 60, 0.4, 100, 10)) == (150, 300, None)
    assert "$60 / (4 \\cdot 10 / 100 - 0.2) = 60 / 0.2 = 300$" in CHAPTER
