"""The growing grid of chapter 3 computes and keeps the rows that the engine's cache does."""

import torch
from test_figures import figure_results, pytestmark  # noqa: F401  (skips this file too where node is missing)

from mini_engine.accounting import tokens_processed
from mini_engine.model import Llama
from mini_engine.weights import load_tiny


def test_counts_are_those_of_accounting():
    cases = [
        (prompt, new, cached) for prompt in range(1, 10) for new in range(1, 16 - prompt) for cached in (True, False)
    ]
    states = [{"prompt": prompt, "pass": new, "cached": cached} for prompt, new, cached in cases]
    for (prompt, new, cached), got in zip(cases, figure_results("kv-grid", states), strict=True):
        assert got["total"] == tokens_processed(prompt, new, cached), (prompt, new, cached)
        assert got["other"] == tokens_processed(prompt, new, not cached), (prompt, new, cached)
        assert got["held"] == prompt + new - 1 == got["kept"] + got["computed"]


def test_rows_are_those_of_the_engines_cache():
    model, prompt = Llama(*load_tiny()), 5
    cache, new = model.new_cache(14), list(range(prompt))
    states = [{"prompt": prompt, "pass": p, "cached": True} for p in range(1, 11)]
    for got in figure_results("kv-grid", states):
        assert got["kept"] == cache.length and got["computed"] == len(new)
        model(torch.tensor([new]), cache)
        assert got["held"] == cache.length
        new = [7]
