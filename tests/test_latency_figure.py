"""The latency figure computes what mini_engine and assignment 08 compute: `compute` runs in node on random tables."""

import math
import random
from pathlib import Path

import numpy as np
from test_figures import figure_results, pytestmark  # noqa: F401  (skips this file too where node is missing)

from mini_engine.bench.load_test import percentiles
from mini_engine.speed import total_latency_ms

SCRIPT = Path(__file__).parents[1] / "solutions" / "08_sampling_and_latency" / "08_sampling_and_latency.py"


def solution(name):
    """The reference function `name` of assignment 08, without running the whole script."""
    text = SCRIPT.read_text(encoding="utf-8")
    cell = next(part for part in text.split("\n# %% ") if part.startswith(f'solution="{name}"'))
    scope = {"np": np}
    exec(cell.split("\n", 1)[1], scope)
    return scope[name]


def test_latency_agrees_with_the_engine_and_assignment_08():
    goodput = solution("goodput")
    rng = random.Random(8)
    tables, states = [], []
    for _ in range(200):
        count = rng.randint(1, 12)
        table = [
            (
                rng.randint(0, 3000),
                rng.randint(1, 1500),
                round(rng.uniform(0.5, 120), 2),
                rng.choice((1, rng.randint(2, 80))),
            )
            for _ in range(count)
        ]
        separator = rng.choice((" ", ", ", ",", "  "))
        text = rng.choice((";", " ; ", ";\n")).join(separator.join(map(str, row)) for row in table)
        tables.append(table)
        states.append({"requests": text, "ttft_slo": rng.randint(50, 2000), "tpot_slo": rng.randint(5, 150)})
    kept = 0
    for table, state, got in zip(tables, states, figure_results("latency", states), strict=True):
        assert got["valid"], state
        totals = [total_latency_ms(ttft, tpot, tokens) for _, ttft, tpot, tokens in table]
        for name, values in (
            ("ttft", [ttft for _, ttft, _, _ in table]),
            ("tpot", [tpot for _, _, tpot, tokens in table if tokens > 1]),
            ("total", totals),
        ):
            want = percentiles(values)
            for p in ("p50", "p95", "p99") if want else ():
                assert math.isclose(got[name][p], want[p], rel_tol=1e-9), (name, p, state)
            assert want or got[name] is None, state
        requests = [
            {
                "request_time": sent / 1000,
                "token_times": [(sent + total_latency_ms(ttft, tpot, i + 1)) / 1000 for i in range(tokens)],
            }
            for sent, ttft, tpot, tokens in table
        ]
        # a hair of room: the times of the last token are sums of rounded numbers
        want = goodput(requests, state["ttft_slo"] / 1000 + 1e-9, state["tpot_slo"] / 1000 + 1e-9)
        assert math.isclose(got["goodput"], want, rel_tol=1e-9), state
        kept += got["num_good"]
    assert 200 < kept < 1000, "the random tables should hold requests of both kinds"


def test_a_row_that_is_not_four_numbers_is_refused():
    bad = ("", "1 2 3", "1 2 3 4 5", "1 2 x 4", "1 2 3 0", "1 2 3 1.5", "-1 2 3 4", "0 1 1 1; 5", "1e99 1 1 1")
    states = [{"requests": text, "ttft_slo": 100, "tpot_slo": 10} for text in bad]
    assert [got["valid"] for got in figure_results("latency", states)] == [False] * len(bad)
