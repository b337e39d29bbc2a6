"""The quantizer figure rounds as mini_engine.quant.arrays does, to the last bit."""

import random

import numpy as np
from test_figures import figure_results, pytestmark  # noqa: F401  (skips this file too where node is missing)

from book._ext.figure_data import FIGURE_DATA
from mini_engine.quant.arrays import quantize


def test_quantizer_agrees_with_the_engine():
    rng = random.Random(7)
    states = []
    for _ in range(250):
        size = rng.choice((4, 8, 16, 32, 64, 128))
        weights = [rng.gauss(0, 1) * 10 ** rng.uniform(-3, 2) + rng.choice((0, 0, 1)) for _ in range(128)]
        for start in rng.sample(range(0, 128, 4), 3):
            weights[start : start + 4] = [rng.choice((0.0, weights[0]))] * 4
        weights = np.array(weights, np.float32).tolist()
        symmetric = rng.random() < 0.5
        states.append({"bits": rng.randint(2, 8), "group_size": size, "symmetric": symmetric, "weights": weights})
    for state, got in zip(states, figure_results("quantizer", states), strict=True):
        column = np.array(state["weights"], np.float32)[:, None]
        stored = quantize(column, state["bits"], state["group_size"], state["symmetric"])
        case = {key: value for key, value in state.items() if key != "weights"}
        np.testing.assert_array_equal([n for group in got["groups"] for n in group["q"]], stored.q[:, 0], str(case))
        np.testing.assert_array_equal(np.float32(got["back"]), stored.dequantize()[:, 0], str(case))
        np.testing.assert_array_equal([group["scale"] for group in got["groups"]], stored.scales[:, 0], str(case))
        error = np.linalg.norm(column - stored.dequantize()) / np.linalg.norm(column)
        assert abs(got["error"] - error) < 1e-5, case
        assert got["bits_per_weight"] == 8 * stored.num_bytes / 128, case


def test_the_rows_own_grid_is_lossless():
    data = FIGURE_DATA["weight_row"]()
    state = {"bits": 4, "group_size": 32, "symmetric": False}
    other = {"bits": 4, "group_size": 32, "symmetric": True}
    own, symmetric = figure_results("quantizer", [state, other], {"weight_row": data})
    assert own["error"] == 0, "the weights come from Q4_1 blocks of 32"
    assert symmetric["error"] > 0.05
