"""What the interactive figures show and did not compute themselves: numbers and traces of mini_engine.

A function here takes nothing and returns what JSON can hold. `{figure-live} name` with `:data: models` puts its result
into the page as `window.figureData.models`, by a plain script, so that it also loads from file://.
"""

import json
from dataclasses import asdict
from pathlib import Path

from mini_engine.config import MODELS
from mini_engine.fleet.router import Router
from mini_engine.fleet.traces import KINDS, make_trace
from mini_engine.speed import DEVICES


def models():
    """Every model spec of the course: {name: {field: value}}."""
    return {name: asdict(config) for name, config in MODELS.items()}


def devices():
    """The GPUs of the cost figures: {name: {peak_flops, bandwidth, memory_bytes}}."""
    return {name: asdict(device) for name, device in DEVICES.items()}


def traces():
    """The requests of chapter 18's traces, each a list of its blocks: {kind: [[block, …], …]}, the blocks numbered."""
    router, numbers = Router(), {}

    def number(block):
        return numbers.setdefault(block, len(numbers))

    return {kind: [[number(b) for b in router.blocks_of(t.prompt)] for t in make_trace(kind)] for kind in KINDS}


def recorded(path):
    """A function that reads data recorded once from the real model (the file says by which command)."""
    return lambda: json.loads(path.read_text(encoding="utf-8"))


FIGURE_DATA = {"models": models, "devices": devices, "traces": traces}
FIGURE_DATA |= {path.stem: recorded(path) for path in sorted((Path(__file__).parents[1] / "data").glob("*.json"))}
