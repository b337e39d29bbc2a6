"""Measure what quantization costs the real model: perplexity, KL divergence and top-1 agreement on a shipped text."""

import math
from pathlib import Path

import numpy as np
import torch
from tqdm import tqdm

from mini_engine.layers import Linear
from mini_engine.model import Llama
from mini_engine.quant.caches import Int8KVCache
from mini_engine.quant.calibration import awq, collect_statistics, gptq, round_groups
from mini_engine.quant.modules import quantize_model
from mini_engine.weights import DATA

TEXT, CALIBRATION_TEXT = "persuasion.txt", "emma.txt"
WINDOW = 1024  # tokens that see each other; every window begins with an empty context
HEAD_ROWS = 128  # logits of that many rows at a time are held


def rounding(bits, group_size, symmetric=True):
    """A row's recipe: plain rounding of every linear layer."""
    return {"bits": bits, "group_size": group_size, "symmetric": symmetric}


# name: (what it is; g64 is groups of 64; how the linear layers' weights are changed, or what the engine runs instead)
ROWS = {
    "float32": ("float32, the reference", {}),
    "bfloat16": ("bfloat16", {"dtype": torch.bfloat16}),
    "int8-g64": ("int8 g64", rounding(8, 64)),
    "int8-g128": ("int8 g128", rounding(8, 128)),
    "int4-g32": ("int4 g32", rounding(4, 32)),
    "int4-g64": ("int4 g64", rounding(4, 64)),
    "int4-g128": ("int4 g128", rounding(4, 128)),
    "int4-g128-gptq": ("int4 g128, GPTQ-style", rounding(4, 128) | {"method": gptq}),
    "int4-g128-awq": ("int4 g128, AWQ-style", rounding(4, 128) | {"method": awq}),
    "int4-g32-asym": ("int4 g32 asymmetric", rounding(4, 32, False)),
    "int4-g128-asym": ("int4 g128 asymmetric", rounding(4, 128, False)),
    "int4-g128-asym-gptq": ("int4 g128 asymmetric, GPTQ-style", rounding(4, 128, False) | {"method": gptq}),
    "int4-g128-asym-awq": ("int4 g128 asymmetric, AWQ-style", rounding(4, 128, False) | {"method": awq}),
    "engine-int8": ("the engine's int8, head too", {"scheme": "int8"}),
    "engine-int4": ("the engine's int4, head in int8", {"scheme": "int4"}),
    "kv-int8": ("float32 with an int8 KV cache", {"cache": Int8KVCache}),
}


def mean_and_error(values):
    """Mean of a vector and its standard error."""
    values = np.asarray(values, dtype=np.float64)
    return float(values.mean()), float(values.std(ddof=1) / math.sqrt(len(values)))


@torch.inference_mode()
def hidden_of(model, windows, cache_class=None):
    """Final hidden states [W * (N - 1), d] of windows of N ids each; the last of a window has no target."""
    parts = []
    for ids in windows:
        cache = cache_class(model.config, len(ids), 1, model.dtype) if cache_class else None
        parts.append(model.hidden_states(torch.as_tensor(ids)[None], cache)[0, :-1])
    return torch.cat(parts)


@torch.inference_mode()
def compare(reference_hidden, reference_head, hidden, head, targets):
    """Per prediction: (surprise of the reference, of the other, KL in nats, whether the top tokens agree)."""
    columns = [], [], [], []
    for start in range(0, len(targets), HEAD_ROWS):
        rows = slice(start, start + HEAD_ROWS)
        log_p = reference_head(reference_hidden[rows]).float().log_softmax(-1)
        log_q = head(hidden[rows]).float().log_softmax(-1)
        at = targets[rows, None]
        columns[0].append(-log_p.gather(1, at)[:, 0])
        columns[1].append(-log_q.gather(1, at)[:, 0])
        columns[2].append((log_p.exp() * (log_p - log_q)).sum(-1))
        columns[3].append((log_p.argmax(-1) == log_q.argmax(-1)).float())
    return [torch.cat(column).numpy() for column in columns]


def summarize(reference_surprise, surprise, kl, agree):
    """A row's numbers. The change in perplexity is paired, token by token, so its error is far below perplexity's."""
    mean, error = mean_and_error(surprise)
    change, change_error = mean_and_error(surprise - reference_surprise)
    kl_mean, kl_error = mean_and_error(kl)
    agreement, agreement_error = mean_and_error(agree)
    return {
        "perplexity": math.exp(mean),
        "perplexity_se": math.exp(mean) * error,
        "change_percent": 100 * math.expm1(change),
        "change_percent_se": 100 * math.exp(change) * change_error,
        "kl": kl_mean,
        "kl_se": kl_error,
        "agreement": agreement,
        "agreement_se": agreement_error,
    }


def bits_per_weight(num_in, bits, group_size, symmetric=True):
    """Stored bits of a weight with its share of its group's float16 scale (and minimum), the last group short."""
    return bits + 16 * (1 if symmetric else 2) * math.ceil(num_in / group_size) / num_in


def quantized_copy(reference, recipe, statistics):
    """(model, bits per weight of its linear layers, relative error of their weights) for one row's recipe."""
    config, weights = reference
    model = Llama(config, weights)
    linears = {name: m for name, m in model.named_modules() if isinstance(m, Linear) and name != "lm_head"}
    num_weights = sum(m.weight.numel() for m in linears.values())
    if "scheme" in recipe:
        quantize_model(model, recipe["scheme"])
        layer_bytes = sum(t.nbytes for name in linears for t in model.get_submodule(name).buffers())
        return model, 8 * layer_bytes / num_weights, None
    lost = total = stored = 0.0
    for name, module in linears.items():
        w = module.weight.numpy()
        if "dtype" in recipe:
            w_hat, bits = module.weight.to(recipe["dtype"]).float().numpy(), 8 * recipe["dtype"].itemsize
        elif "bits" in recipe:
            grid = {key: recipe[key] for key in ("bits", "group_size", "symmetric")}
            method = recipe.get("method")
            w_hat = method(w, statistics[name], **grid) if method else round_groups(w, **grid)
            bits = bits_per_weight(len(w), **grid)
        else:
            w_hat, bits = w, 32
        # a new tensor: the old one may be a view of the weights that were passed in
        module.weight = torch.nn.Parameter(torch.from_numpy(w_hat), requires_grad=False)
        lost, total, stored = lost + ((w - w_hat) ** 2).sum(), total + (w**2).sum(), stored + bits * w.size
    return model, stored / num_weights, math.sqrt(lost / total)


def measure(config, weights, windows, calibration, names=tuple(ROWS), progress=tqdm):
    """The rows of the quality table: a list of dicts. windows, calibration: lists of id lists."""
    base = Llama(config, weights)
    targets = torch.cat([torch.as_tensor(ids)[1:] for ids in windows])
    reference = hidden_of(base, windows)
    calibrated = any("method" in ROWS[name][1] for name in names)
    statistics = collect_statistics(base, calibration) if calibrated else {}
    rows = []
    for name in progress(names, desc="quality"):
        label, recipe = ROWS[name]
        model, bits, weight_error = quantized_copy((config, weights), recipe, statistics)
        hidden = hidden_of(model, windows, recipe.get("cache"))
        columns = compare(reference, base.lm_head, hidden, model.lm_head, targets)
        rows.append({"name": name, "label": label, "bits_per_weight": bits, "weight_error": weight_error})
        rows[-1] |= summarize(*columns)
    return rows


def read_windows(path, tokenizer, num_tokens):
    """The first num_tokens ids of a text in windows of at most WINDOW. Raises ValueError when there are too few."""
    path = DATA / path if (DATA / path).exists() else Path(path)
    ids = tokenizer.encode(path.read_text(encoding="utf-8"))[:num_tokens]
    if num_tokens < 2 or len(ids) < num_tokens:
        raise ValueError(f"{path.name}: {num_tokens} tokens asked for, the text has {len(ids)}; at least 2 are needed")
    return [ids[i : i + WINDOW] for i in range(0, len(ids), WINDOW) if len(ids) - i > 1]
