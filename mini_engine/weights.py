"""Weights: the shipped 2-layer checkpoint, as a dict of NumPy arrays (see CONTRIBUTING, "Code")."""

from pathlib import Path

import numpy as np

from .config import TINY

DATA = Path(__file__).parent / "data"


def flatten(weights):
    """The weights dict as one flat dict: `layers[3]["w_q"]` becomes `layers.3.w_q`."""
    flat = {name: value for name, value in weights.items() if name != "layers"}
    for i, layer in enumerate(weights["layers"]):
        flat.update({f"layers.{i}.{name}": value for name, value in layer.items()})
    return flat


def unflatten(flat):
    """The inverse of flatten."""
    weights = {name: value for name, value in flat.items() if not name.startswith("layers.")}
    num_layers = 1 + max(int(name.split(".")[1]) for name in flat if name.startswith("layers."))
    weights["layers"] = [
        {name.split(".")[2]: value for name, value in flat.items() if name.startswith(f"layers.{i}.")}
        for i in range(num_layers)
    ]
    return weights


def load_tiny():
    """The shipped 2-layer checkpoint: (config, weights), float32, random with a fixed seed (data/README.md)."""
    with np.load(DATA / "tiny.npz") as file:
        return TINY, unflatten(dict(file))


def load_tiny_expected():
    """What transformers computes on load_tiny(): a list of dicts with ids [N], logits [N, V], greedy [32]."""
    with np.load(DATA / "tiny_expected.npz") as file:
        count = sum(name.startswith("ids_") for name in file)
        return [{key: file[f"{key}_{i}"] for key in ("ids", "logits", "greedy")} for i in range(count)]
