"""Chapter 13: its recorded road is the two-line model's, its figure computes the same, its loops are cut out right."""

import json
import re
from pathlib import Path

import numba
import numpy as np
import pytest
import test_figures as figures

from mini_engine.bench import cpu_road
from mini_engine.bench.assembly import busiest_loop, loops

ROOT = Path(__file__).resolve().parents[1]
CHAPTER = (ROOT / "book" / "13_cpu_lab.md").read_text(encoding="utf-8")
ROAD = json.loads((ROOT / "book" / "data" / "cpu_road.json").read_text(encoding="utf-8"))


def test_recorded_predictions_are_those_of_the_two_lines():
    size = ROAD["shape"][0] * ROAD["shape"][1]
    for row in ROAD["product"]["rows"]:
        who = "python" if row["name"] == "Python loop" else "processor"
        work = size * row["num_rows"]
        seconds, limit = cpu_road.predicted(
            row["num_bytes"], work, row["num_threads"], who, ROAD["product"]["ceilings"]
        )
        assert (row["predicted_s"], row["limit"]) == (pytest.approx(seconds), limit), row["name"]
        assert 0 < row["seconds"]["min"] <= row["seconds"]["median"] <= row["seconds"]["max"], row["name"]


@figures.pytestmark
def test_the_figure_opens_with_the_recorded_predictions():
    ceilings = ROAD["product"]["ceilings"][str(max(row["num_threads"] for row in ROAD["product"]["rows"]))]
    rows = ROAD["product"]["rows"]
    exact = {"steps": len(rows), "bandwidth": ceilings["bandwidth"] / 1e9, "peak": ceilings["peak"] / 1e9}
    slow = {"steps": 3, "bandwidth": 2 * exact["bandwidth"], "peak": 1e6}
    first, second = figures.figure_results("cpu-road", [exact, slow], {"cpu_road": ROAD})
    assert [row["name"] for row in first] == [row["name"] for row in rows]
    for row, wanted in zip(first, rows, strict=True):
        assert row["predicted"] == pytest.approx(wanted["predicted_s"]) and row["limit"] == wanted["limit"]
    assert len(second) == 3 and second[1]["predicted"] == pytest.approx(
        rows[1]["num_bytes"] / ceilings["bandwidth"] / 2
    )


def test_rounded_weights_are_what_the_kernels_use():
    """The oracle of the recording dequantizes by itself; a product with the unit matrix shows every weight."""
    weight = np.random.default_rng(13).standard_normal((64, 96)).astype(np.float32)
    for name, levels in (("int8 weights", 127), ("int4 weights", 7.5)):
        used = cpu_road.weights_of(name, weight)[:, :96]
        assert used.shape == weight.shape
        assert 0 < abs(used - weight).max() < abs(weight).max() / levels


def test_loops_are_cut_from_label_to_jump():
    inner = ".LBB0_2:\n\tvaddss\t%xmm0, %xmm1, %xmm1\n\tjne\t.LBB0_2"
    text = f"f:\n\txorl\t%eax, %eax\n.LBB0_1:\n\tnop\n{inner}\n\tjmp\t.LBB0_1\n"
    assert loops(text) == [inner], "only the innermost"
    assert loops("f:\n\tje\t.LBB0_9\n\tret\n") == [], "a jump ahead is no loop"


def test_the_busiest_loop_is_the_one_on_vectors():
    """On x86; elsewhere there must be a loop at least."""

    @numba.njit
    def add_rows(y, rows):
        for k in range(rows.shape[0]):
            for o in range(rows.shape[1]):
                y[o] += rows[k, o]
        total = np.float32(0)
        for o in range(len(y)):
            total += y[o]
        return total

    rows = np.ones((3, 64), np.float32)
    assert add_rows(np.zeros(64, np.float32), rows) == 192
    loop = busiest_loop(add_rows)
    assert loop
    if "mm" in loop:
        assert re.search(r"v?addps\s", loop), loop


def test_the_chapters_by_hand_example_holds():
    assert 0.1 / 25 == 2 * 1e8 / 5e10, "the first question says that both take 4 ms"
    assert "$0.1 \\text{ GB} / 25 \\text{ GB/s} = 4$ ms" in CHAPTER
    assert "$4 \\cdot 16 \\cdot 2 = 128$" in CHAPTER and 512 // 32 == 16
