"""The interactive figures compute what mini_engine computes: their `compute` runs in node on random inputs."""

import json
import math
import random
import shutil
import subprocess
from pathlib import Path

import pytest

from mini_engine import accounting
from mini_engine.config import MODELS, ModelConfig

FIGURES = Path(__file__).resolve().parents[1] / "book" / "_static" / "figures"
NODE = shutil.which("node")
pytestmark = pytest.mark.skipif(NODE is None, reason="node is not installed: the figures' formulas are not checked")

# The least of a browser that lib.js and a figure touch before they are shown.
RUN = """
const fs = require("fs"), vm = require("vm");
const { scripts, name, states, data } = JSON.parse(fs.readFileSync(0, "utf8"));
globalThis.window = globalThis;
globalThis.figureData = data;
globalThis.HTMLElement = class {};
globalThis.customElements = { define() {} };
for (const script of scripts) vm.runInThisContext(fs.readFileSync(script, "utf8"), script);
console.log(JSON.stringify(states.map((state) => Figure.compute(name, state))));
"""


def figure_results(name, states, data=None):
    """What the figure `name` computes for each of the states. data: what the page would hold in window.figureData."""
    scripts = [str(FIGURES / "lib.js"), str(FIGURES / f"{name}.js")]
    asked = json.dumps({"scripts": scripts, "name": name, "states": states, "data": data or {}})
    done = subprocess.run([NODE, "-e", RUN], input=asked, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def kv_state(config, tokens, batch, bytes_per, tp):
    fields = ("num_hidden_layers", "num_attention_heads", "num_key_value_heads", "head_dim")
    shape = {field: getattr(config, field) for field in fields}
    return {**shape, "tokens": tokens, "batch": batch, "bytes_per": str(bytes_per), "tp": tp}


def test_kv_calculator_agrees_with_accounting():
    rng = random.Random(4)
    cases = [(config, 8192, 16, 2, tp) for config in MODELS.values() for tp in (1, 2, 3, 4, 8, 16)]
    for _ in range(300):
        kv_heads = rng.choice((1, 2, 3, 4, 8))
        heads = kv_heads * rng.randint(1, 8)
        config = ModelConfig("random", rng.randint(1, 100), 64, heads, kv_heads, 64, 64, 2 * rng.randint(1, 128))
        size = rng.randint(1, 131_072), rng.randint(1, 512), rng.choice((4, 2, 1, 0.5)), rng.choice((1, 2, 4, 8, 16))
        cases.append((config, *size))
    replicated = refused = 0
    for (config, tokens, batch, bytes_per, tp), got in zip(
        cases, figure_results("kv-calculator", [kv_state(*case) for case in cases]), strict=True
    ):
        case = f"{config}, {tokens=}, {batch=}, {bytes_per=}, {tp=}"
        layers, kv_heads, dim = config.num_hidden_layers, config.num_key_value_heads, config.head_dim
        assert got["per_token"] == accounting.kv_bytes_per_token(config, bytes_per), case
        total = accounting.kv_cache_bytes(batch, layers, tokens, kv_heads, dim, bytes_per)
        assert got["total"] == total, case
        assert got["per_request"] == accounting.kv_cache_bytes(1, layers, tokens, kv_heads, dim, bytes_per), case
        heads = config.num_attention_heads
        assert got["query_heads_total"] == accounting.kv_cache_bytes(batch, layers, tokens, heads, dim, bytes_per), case
        try:
            kept = accounting.kv_heads_per_gpu(config, tp, replicate_kv=True)
        except ValueError:
            refused += 1
            assert got["kept"] == 0, f"{case}: accounting refuses this split"
            continue
        assert got["kept"] == kept, case
        assert got["copies"] == kept * tp / kv_heads, case
        assert got["per_gpu"] == math.ceil(total * kept / kv_heads), case
        replicated += got["copies"] > 1
    assert replicated > 10 and refused > 10, "the random cases should hold splits of every kind"


def test_kv_calculator_refuses_uneven_heads():
    state = kv_state(MODELS["llama-3-8b"], 100, 1, 2, 1)
    (got,) = figure_results("kv-calculator", [{**state, "num_key_value_heads": 3}])
    assert not got["valid"], "32 query heads cannot share 3 KV heads"


def test_flash_tiles_is_a_softmax_at_every_step():
    rng = random.Random(5)
    states = [{"n": 6, "block": 4, "step": 0}, {"n": 5, "block": 5, "step": 9}]
    for _ in range(200):
        states.append({"n": rng.randint(2, 24), "block": rng.randint(1, 12), "step": rng.randint(-3, 700)})
    for state, got in zip(states, figure_results("flash-tiles", states), strict=True):
        n, block = state["n"], min(state["block"], state["n"])
        blocks = math.ceil(n / block)
        step = min(max(1, state["step"]), blocks * blocks)
        row, column = divmod(step - 1, blocks)
        assert (got["step"], got["row"], got["column"]) == (step, row, column), state
        assert got["tiles"] == blocks**2 and got["scores_in_all"] == n * n, state
        assert got["query"] == row * block and got["done"] == (column == blocks - 1), state
        tile = [(q, k) for q in range(n) for k in range(n) if q // block == row and k // block == column]
        assert got["scores_in_tile"] == len(tile), state
        for number, after in enumerate(got["steps"], 1):
            # the plain softmax over all keys of the blocks met so far
            keys = range(min(n, number * block))
            scores = [(6 * got["query"] + 5 * key + got["query"] * key + 3) % 8 for key in keys]
            largest = max(scores)
            weights = [math.exp(score - largest) for score in scores]
            assert after["scores"] == scores[(number - 1) * block :], state
            assert after["largest"] == largest, state
            assert math.isclose(after["total"], sum(weights), rel_tol=1e-12), state
            want = sum(weight * key for weight, key in zip(weights, keys, strict=True))
            assert math.isclose(after["out"], want, rel_tol=1e-12, abs_tol=1e-12), state
            shown = want / sum(weights)
        assert len(got["steps"]) == column + 1, state
        assert math.isclose(got["output"], shown, rel_tol=1e-12, abs_tol=1e-12), state
