"""What the interactive figures show and did not compute themselves: numbers and traces of mini_engine.

A function here takes nothing and returns what JSON can hold. `{figure-live} name` with `:data: models` puts its result
into the page as `window.figureData.models`, by a plain script, so that it also loads from file://.
"""

from dataclasses import asdict

from mini_engine.config import MODELS
from mini_engine.speed import DEVICES


def models():
    """Every model spec of the course: {name: {field: value}}."""
    return {name: asdict(config) for name, config in MODELS.items()}


def devices():
    """The GPUs of the cost figures: {name: {peak_flops, bandwidth, memory_bytes}}."""
    return {name: asdict(device) for name, device in DEVICES.items()}


FIGURE_DATA = {"models": models, "devices": devices}
