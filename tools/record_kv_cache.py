"""Measure what a quantized KV cache costs SmolLM2-135M: keys and values apart, and other ways to share a scale.

    python tools/record_kv_cache.py

writes book/data/kv_cache.json: perplexity, KL divergence and top-1 agreement on a shipped text (every token reads
rounded keys and values), and for some caches the greedy tokens that stay the same. Float32, several minutes.
"""

from pathlib import Path

import torch
from gguf import GGMLQuantizationType, quants
from tqdm import tqdm

from mini_engine.bench.machine import machine
from mini_engine.bench.quality import TEXT, compare, hidden_of, read_windows, summarize
from mini_engine.bench.timing import write_json
from mini_engine.kv_cache import KVCache
from mini_engine.loading import load
from mini_engine.quant.pages import decode, encode

TARGET = Path(__file__).resolve().parents[1] / "book" / "data" / "kv_cache.json"
NUM_TOKENS, NUM_PROMPTS, PROMPT, NUM_NEW = 2048, 8, 32, 48


def stored_as(kv_dtype):
    """What comes back from a page of the engine."""
    return lambda x: decode(encode(x, kv_dtype), kv_dtype, x.shape[-1])


def one_block(x):
    """int4 with one scale and one minimum for a whole vector: a block of its own head size."""
    lowest = x.amin(-1, keepdim=True).half().float()
    step = ((x.amax(-1, keepdim=True) - lowest) / 15).half().float()
    return ((x - lowest) / step.where(step > 0, 1)).round().clamp(0, 15) * step + lowest


def no_minimum(x):
    """Q4_0 of GGUF: a scale for 32 numbers, no minimum."""
    kind = GGMLQuantizationType.Q4_0
    return torch.from_numpy(quants.dequantize(quants.quantize(x.contiguous().numpy(), kind), kind))


def per_channel(x):
    """int4 with a scale and a minimum for each channel of 32 neighbouring tokens; the last, unfinished run is float."""
    whole = x.shape[2] // 32 * 32
    runs = x[:, :, :whole].unflatten(2, (-1, 32)).transpose(-1, -2).contiguous()
    return torch.cat([one_block(runs).transpose(-1, -2).flatten(2, 3), x[:, :, whole:]], 2)


def as_it_is(x):
    return x


int8, int4 = stored_as("int8"), stored_as("int4")
# name: (what it is, what becomes of keys, of values, bits per number with scales)
ROWS = {
    "float16": ("float16", lambda x: x.half().float(), lambda x: x.half().float(), 16),
    "int8": ("int8, blocks of 32", int8, int8, 8.5),
    "int4": ("int4, blocks of 32 with minimum", int4, int4, 5),
    "int4-keys": ("only the keys in int4", int4, as_it_is, None),
    "int4-values": ("only the values in int4", as_it_is, int4, None),
    "int8-int4": ("keys in int8, values in int4", int8, int4, 6.75),
    "int4-no-minimum": ("int4, blocks of 32 without minimum", no_minimum, no_minimum, 4.5),
    "int4-vector": ("int4, one block for 64", one_block, one_block, 4.5),
    "int4-channels": ("int4, keys per channel of 32 tokens", per_channel, int4, 5),
}


def cache_of(of_keys, of_values):
    """A contiguous cache whose keys and values go through two functions."""

    class Rounded(KVCache):
        def update(self, layer, k, v):
            return super().update(layer, of_keys(k), of_values(v))

    return Rounded


@torch.inference_mode()
def greedy(model, ids, cache):
    """NUM_NEW greedy tokens after ids."""
    new = torch.tensor([ids])
    tokens = []
    for _ in range(NUM_NEW):
        new = model(new, cache)[:, -1:].argmax(-1)
        tokens.append(int(new))
    return tokens


def num_same(a, b):
    """Tokens before the first that differs."""
    return next((i for i, (x, y) in enumerate(zip(a, b, strict=True)) if x != y), len(a))


def main():
    model, tokenizer = load(compiled=False)
    windows = read_windows(TEXT, tokenizer, NUM_TOKENS)
    targets = torch.cat([torch.as_tensor(ids)[1:] for ids in windows])
    reference = hidden_of(model, windows)
    prompts = [windows[i % len(windows)][100 * i : 100 * i + PROMPT] for i in range(NUM_PROMPTS)]
    length = PROMPT + NUM_NEW
    want = [greedy(model, ids, KVCache(model.config, length)) for ids in prompts]
    rows = []
    for name, (label, of_keys, of_values, bits) in (bar := tqdm(ROWS.items())):
        bar.set_description(name)
        kind = cache_of(of_keys, of_values)
        columns = compare(reference, model.lm_head, hidden_of(model, windows, kind), model.lm_head, targets)
        rows.append({"name": name, "label": label, "bits": bits, **summarize(*columns)})
        if name in ("float16", "int8", "int4"):  # what comes in order, so that no token reads what is not there yet
            texts = [greedy(model, ids, kind(model.config, length)) for ids in prompts]
            rows[-1]["same_greedy_tokens"] = [num_same(*pair) for pair in zip(texts, want, strict=True)]
        print(rows[-1])
    run = {"text": TEXT, "num_predictions": len(targets), "num_new": NUM_NEW, "prompt_tokens": PROMPT}
    write_json(TARGET, {"model": "SmolLM2-135M-Instruct", **run, "machine": machine(), "rows": rows})


if __name__ == "__main__":
    main()
