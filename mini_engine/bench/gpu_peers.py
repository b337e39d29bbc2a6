"""The larger measurements of chapter 14: a 7B-shaped model, the serving engine, and transformers on the same device."""

import dataclasses
import statistics
import time

import torch

from mini_engine.accounting import num_blocks_for, parameter_count
from mini_engine.bench.gpu_lab import timed_step, verification
from mini_engine.bench.peers import stamps, transformers_generate, transformers_llama
from mini_engine.bench.random_model import random_llama
from mini_engine.bench.timing import spread, synchronize
from mini_engine.bench.tuning import tune_model
from mini_engine.device import free_bytes
from mini_engine.engine import Engine
from mini_engine.gpu.graphs import GraphedDecoder
from mini_engine.gpu.static_cache import StaticKVCache
from mini_engine.sequence import SamplingParams


def fitting(config, dtype, device):
    """The config with as many of its layers as fit into the free memory twice in this dtype, halved until they do."""
    free = free_bytes(device)
    while free and 2.2 * parameter_count(config) * dtype.itemsize > free and config.num_hidden_layers > 1:
        config = dataclasses.replace(config, num_hidden_layers=config.num_hidden_layers // 2)
    return config


def one_line(error):
    """What an exception says, in its first line."""
    return (str(error).strip() or type(error).__name__).splitlines()[0]


def release(device):
    """Give freed memory back, so that the next model finds it."""
    if torch.device(device).type == "cuda":
        torch.cuda.empty_cache()


def stack(config, ceilings, device, dtype, schemes=(None, "int8", "int4"), lengths=(1, 2, 4, 8, 16, 32), num_rounds=20):
    """A model of a large shape with random weights, in each scheme: a decode step against the floor, and verification.

    As many layers as fit; all weights are read in each step, far more than a cache holds.
    """
    config = fitting(config, dtype, device)
    rows = []
    for scheme in schemes:
        model = random_llama(config, scheme, dtype, device)
        tuning = tune_model(model, scheme) if scheme else None
        row = {"scheme": scheme or str(dtype).removeprefix("torch."), "tuning": tuning}
        row |= timed_step(model, ceilings, 1, context=64, num_rounds=num_rounds)
        row["speedup"] = rows[0]["measured_s"]["median"] / row["measured_s"]["median"] if rows else 1.0
        rows.append(row | {"verification": verification(model, ceilings, lengths, num_rounds=num_rounds)["rows"]})
        del model
        release(device)
    return {"shape": dataclasses.asdict(config), "rows": rows}


@torch.inference_mode()
def serving(model, num_requests=64, prompt_len=64, max_tokens=64, num_rounds=3):
    """The engine of chapter 12 over one workload of random prompts, with and without recorded decode passes.

    Continuous batching, paged cache, all requests at once. same_text: requests whose tokens are those without graphs.
    """
    generator = torch.Generator().manual_seed(1)
    vocab_size = model.config.vocab_size
    prompts = [torch.randint(vocab_size, (prompt_len,), generator=generator).tolist() for _ in range(num_requests)]
    params = [SamplingParams(max_tokens=max(1, max_tokens * (1 + i % 4) // 4)) for i in range(num_requests)]
    num_blocks = num_requests * (num_blocks_for(prompt_len + max_tokens, 16) + 1)
    rows, reference = [], None
    for graphs in (False, True):
        engine = Engine(
            model,
            num_blocks=num_blocks,
            max_num_seqs=num_requests,
            max_num_batched_tokens=max(512, num_requests),
            prefix_caching=False,
            graphs=graphs,
        )
        texts, seconds = [], []
        for _ in range(1 + num_rounds):  # the first round records the graphs
            start = time.perf_counter()
            done = engine.generate(prompts, params)
            synchronize(model.device)
            seconds.append(time.perf_counter() - start)
            texts = [seq.output_token_ids for seq in done]
        reference = texts if reference is None else reference
        num_tokens = sum(map(len, texts))
        row = {"graphs": graphs, "tokens_per_s": spread([num_tokens / s for s in seconds[1:]])}
        row["num_same_text"] = sum(a == b for a, b in zip(texts, reference, strict=True))
        rows.append(row | {"num_steps": engine.stats.num_steps // (1 + num_rounds)})
    sizes = {"num_requests": num_requests, "prompt_len": prompt_len, "max_tokens": max_tokens}
    return sizes | {"note": "" if model.device.type == "cuda" else "no CUDA here: nothing was recorded", "rows": rows}


def own_generate(model):
    """A function (ids, num_new) -> the time of each token of a GraphedDecoder, which is made at the first call."""
    decoders = {}

    @torch.inference_mode()
    def tokens(ids, num_new):
        room = len(ids) + num_new
        if room not in decoders:
            cache = StaticKVCache(model.config, room, 1, model.dtype, model.device)
            decoders[room] = GraphedDecoder(model, cache)
        decoder = decoders[room]
        decoder.cache.truncate(0)
        logits = decoder.prefill(torch.tensor([ids], device=model.device))
        for _ in range(num_new):
            token = logits.argmax(dim=-1, keepdim=True)
            yield int(token)  # a reader wants each token now, so every step waits for the device
            logits = decoder.step(token)[:, -1] if decoder.cache.length < room else logits

    return lambda ids, num_new: stamps(tokens(ids, num_new))


def against_transformers(model, weights, prompt_ids, num_new=32, num_rounds=5, compiled=True):
    """Seconds per output token of this engine and of transformers' generate, on one device, taking turns.

    transformers with its growing cache, with its static one, and (compiled, on CUDA) with that one compiled, which
    costs a minute at its first call. Ratios are taken within a round.
    """
    theirs = transformers_llama(model.config, weights, model.dtype, attention="sdpa").to(model.device)
    peers = {"mini_engine, graph": own_generate(model), "transformers, dynamic cache": transformers_generate(theirs)}
    static = {"cache_implementation": "static"}
    peers["transformers, static cache"] = transformers_generate(theirs, **static, disable_compile=True)
    if compiled and model.device.type == "cuda":
        peers["transformers, static cache, compiled"] = transformers_generate(theirs, **static)
    seconds, notes = {name: [] for name in peers}, {}
    for number in range(1 + num_rounds):
        for name, peer in peers.items():
            if name in notes:
                continue
            try:
                times = peer(prompt_ids, num_new)
            except Exception as error:  # one way that fails on this machine leaves the others
                notes[name] = one_line(error)
                continue
            if number:
                seconds[name].append((times[-1] - times[0]) / (len(times) - 1))
    if "mini_engine, graph" in notes:
        raise RuntimeError(notes["mini_engine, graph"])
    seconds = {name: times for name, times in seconds.items() if name not in notes}
    ours = seconds["mini_engine, graph"]
    rows = []
    for name, theirs_s in seconds.items():
        ratios = [a / b for a, b in zip(theirs_s, ours, strict=True)]
        rows.append({"name": name, "tpot_s": spread(theirs_s), "times_ours": spread(ratios)})
    return {
        "context": len(prompt_ids),
        "num_new": num_new,
        "rows": rows,
        "missing_peers": notes,
        "median_s": statistics.median(ours),
    }
