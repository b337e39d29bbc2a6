"""Find how the Triton kernels are cut best on the GPU at hand."""

import dataclasses
import itertools
import statistics

import torch

from mini_engine.bench.timing import time_calls
from mini_engine.gpu import kernels
from mini_engine.gpu.graphs import capture
from mini_engine.gpu.kernels import Knobs
from mini_engine.quant.modules import Int8Linear

GRID = tuple(
    Knobs(*knobs)
    for knobs in ((1, 1024, 2), (1, 2048, 4), (2, 1024, 4), (2, 2048, 4), (4, 512, 4), (4, 1024, 4), (4, 1024, 8))
    + ((8, 512, 4), (8, 1024, 8), (16, 512, 8))
)
MORE_ROWS_GRID = (kernels.MORE_ROWS, Knobs(16, 128, 4), Knobs(64, 128, 4), Knobs(32, 256, 8))


def tune(product, device, grid=GRID, num_calls=32, num_rounds=5):
    """(best Knobs, [(Knobs, median seconds per call), …], the fastest first) of product(knobs) over a grid.

    Calls are timed num_calls at a time, recorded as a graph, since a launch takes as long as a small kernel. Let
    product take another weight each time, more than the cache holds, or the cache is what you tune for. Knobs that
    the GPU refuses (too many registers, say) are left out. Raises ValueError when it refuses all.
    """
    timed = []
    for knobs in grid:
        try:
            replay = capture(lambda knobs=knobs: [product(knobs) for _ in range(num_calls)], device, warmup=1)
            times = time_calls(replay.replay, device, num_rounds, warmup=1)
        except Exception:  # Triton's own errors have no common base
            continue
        timed.append((knobs, statistics.median(times) / num_calls))
    if not timed:
        raise ValueError("none of the knobs of this grid could be run")
    timed.sort(key=lambda pair: pair[1])
    return timed[0][0], timed


@torch.inference_mode()
def tune_model(model, scheme):
    """Find the Knobs for one row and for 16 on this model's own weights, in turn, and use them from here on.

    Returns a dict for JSON; where the kernels do not run, {"note": why}.
    """
    bits = 4 if scheme == "int4" else 8
    layers = [layer.mlp.gate_up for layer in model.layers]
    result = {}
    for num_rows, grid in ((1, GRID), (16, MORE_ROWS_GRID)):
        x = torch.randn(num_rows, model.config.hidden_size, device=model.device, dtype=model.dtype)
        if reason := kernels.why_not_triton(x):
            return {"note": reason}
        turn = itertools.cycle(layers)

        def product(knobs, x=x, turn=turn):
            layer = next(turn)
            if isinstance(layer, Int8Linear):
                return kernels.int8_linear(x, layer.q, layer.scales[:, None], knobs, x.dtype)
            return kernels.int4_linear(x, layer.packed, layer.scales, layer.minima, knobs, x.dtype)

        best, timed = tune(product, model.device, grid)
        kernels.use_knobs(best, bits, one_row=num_rows == 1)
        table = [{"knobs": dataclasses.astuple(knobs), "seconds": seconds} for knobs, seconds in timed]
        result[f"{num_rows} rows"] = table
    return result
