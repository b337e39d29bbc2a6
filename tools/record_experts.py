"""Measure what chapter 17 says about SmolLM2-135M: its MLPs cut into experts, and its cache cut to a window.

    python tools/record_experts.py

writes book/data/experts.json: perplexity on a shipped text against experts per token, by three routers; how many
experts a batch wakes; perplexity with a window, with and without the first tokens. Float32, several minutes.
"""

import math
from pathlib import Path

import numpy as np
import torch

from mini_engine.bench.machine import machine
from mini_engine.bench.quality import CALIBRATION_TEXT, TEXT, hidden_of, read_windows
from mini_engine.bench.timing import write_json
from mini_engine.beyond.cut import cut_model, output_norms, set_top_k
from mini_engine.beyond.experts import expert_load
from mini_engine.beyond.window import WindowCache
from mini_engine.loading import load

TARGET = Path(__file__).resolve().parents[1] / "book" / "data" / "experts.json"
NUM_EXPERTS, TOP_K, NUM_TOKENS, NUM_CALIBRATION = 8, 2, 2048, 4096
SPAN, WINDOW = 2048, 256


class Knows(torch.nn.Module):
    """A router that has computed all experts and picks those that add most: no real one can be so good at the norm."""

    def __init__(self, experts, top_k):
        super().__init__()
        self.experts, self.top_k = experts, top_k

    def forward(self, x):
        chosen = output_norms(self.experts, x).topk(self.top_k, dim=-1).indices
        return chosen, torch.ones_like(chosen, dtype=x.dtype)


class Draws(torch.nn.Module):
    """A router that does not look at the token."""

    def __init__(self, num_experts, top_k):
        super().__init__()
        self.num_experts, self.top_k, self.generator = num_experts, top_k, torch.Generator().manual_seed(17)

    def forward(self, x):
        chosen = torch.rand(len(x), self.num_experts, generator=self.generator).topk(self.top_k, dim=-1).indices
        return chosen, torch.ones_like(chosen, dtype=x.dtype)


@torch.inference_mode()
def perplexity(model, windows, cache=None, first=0):
    """Perplexity of the texts' tokens from place `first` on."""
    losses = []
    for ids in windows:
        logits = model.lm_head(hidden_of(model, [ids], cache)[first:]).float()
        losses.append(torch.nn.functional.cross_entropy(logits, torch.as_tensor(ids)[first + 1 :], reduction="none"))
    return math.exp(torch.cat(losses).mean().item())


def quality_against_k(model, windows):
    """{router: [perplexity with 1, 2, … experts]} of a model that was cut; its own routers are in place afterwards."""
    rows, fitted = {}, [layer.mlp.router for layer in model.layers]
    for name in ("drawn", "fitted", "knows"):
        for layer, own in zip(model.layers, fitted, strict=True):
            if name != "fitted":
                layer.mlp.router = Knows(layer.mlp.experts, 1) if name == "knows" else Draws(NUM_EXPERTS, 1)
            else:
                layer.mlp.router = own
        rows[name] = []
        for top_k in range(1, NUM_EXPERTS + 1):
            set_top_k(model, top_k)
            rows[name].append(perplexity(model, windows))
            print(name, top_k, rows[name][-1], flush=True)
    for layer, own in zip(model.layers, fitted, strict=True):
        layer.mlp.router = own
    return rows


@torch.inference_mode()
def loads(model, windows):
    """Choices of the fitted routers: (load of each expert in each layer, {batch: mean distinct experts})."""
    set_top_k(model, TOP_K)
    seen = []
    hooks = [layer.mlp.router.register_forward_hook(lambda _, __, out: seen.append(out[0])) for layer in model.layers]
    for ids in windows:
        model.hidden_states(torch.as_tensor(ids)[None])
    for hook in hooks:
        hook.remove()
    num_layers = len(model.layers)
    chosen = [torch.cat(seen[i::num_layers]) for i in range(num_layers)]
    rng, distinct = np.random.default_rng(17), {}
    for batch in (1, 2, 4, 8, 16, 32, 64):
        counts = [
            len(np.unique(each[rng.choice(len(each), batch, replace=False)])) for each in chosen for _ in range(50)
        ]
        distinct[batch] = float(np.mean(counts))
    return [expert_load(each, NUM_EXPERTS).tolist() for each in chosen], distinct


def windows_and_first(model, ids):
    """{name: perplexity of the tokens behind the first window}, all with text of SPAN tokens."""
    rows = {"all": perplexity(model, [ids], first=WINDOW)}
    for num_first in (0, 1, 4):

        def cache(config, max_tokens, batch, dtype, num_first=num_first):
            windows = [WINDOW - num_first] * config.num_hidden_layers  # so many slots in all
            return WindowCache(config, max_tokens, windows, num_first, batch, dtype)

        rows[str(num_first)] = perplexity(model, [ids], cache, WINDOW)
        print("window", num_first, rows[str(num_first)], flush=True)
    return rows


def main():
    model, tokenizer = load("smollm2", compiled=False)  # MLPs and caches are exchanged, which the compiled model cannot
    windows = read_windows(TEXT, tokenizer, NUM_TOKENS)
    data = {"machine": machine(), "text": TEXT, "num_tokens": NUM_TOKENS, "num_experts": NUM_EXPERTS, "top_k": TOP_K}
    data |= {"calibration": CALIBRATION_TEXT, "num_calibration": NUM_CALIBRATION, "dense": perplexity(model, windows)}
    data["window"] = {"size": WINDOW, "span": SPAN, "perplexity": windows_and_first(model, sum(windows, [])[:SPAN])}
    calibration = torch.tensor(read_windows(CALIBRATION_TEXT, tokenizer, NUM_CALIBRATION))
    cut_model(model, NUM_EXPERTS, NUM_EXPERTS, calibration)
    data["perplexity"] = quality_against_k(model, windows)
    data["load"], data["distinct"] = loads(model, windows)
    write_json(TARGET, data)
    print(data["dense"], data["window"], data["distinct"])


if __name__ == "__main__":
    main()
