"""The batched half of `bench cpu`: decode steps of several sequences, ours and llama.cpp's, taking turns."""

import torch

from mini_engine.bench.peers import llama_cpp_step
from mini_engine.bench.timing import interleaved, spread
from mini_engine.device import argmax

DRAFTS = (2, 5)  # tokens of a draft that a pass verifies


def print_claims(claims, unit="times as fast"):
    """Ratios of times with their spread."""
    for what, ratio in claims.items():
        print(f"{what:44} {ratio['median']:6.2f} {unit} ({ratio['min']:.2f} to {ratio['max']:.2f})")


@torch.inference_mode()
def decode_step(model, batch, context, num_new=1):
    """A function that runs one step of `batch` sequences which hold `context` tokens each: num_new tokens for each."""
    cache = model.new_cache(context + num_new, batch)
    cache.k.normal_()
    cache.v.normal_()  # the speed of a step does not depend on what is in the cache
    cache.length = context
    tokens = torch.arange(batch * num_new).view(batch, num_new)

    @torch.inference_mode()
    def step():
        hidden = model.hidden_states(tokens, cache)
        cache.truncate(context)
        return argmax(model.lm_head(hidden[:, -1] if num_new == 1 else hidden))

    return step


def batch_sweep(models, args, context, files):
    """{name: {batch: tokens per second, with spread}} of single decode steps, taking turns."""
    steps = {(name, b): decode_step(model, b, context) for name, model in models.items() for b in args.batches}
    for kind in ("Q4_1", "Q8_0"):
        if kind in files:
            for b in args.batches:
                steps[f"llama.cpp {kind}", b] = llama_cpp_step(files[kind], b, context, torch.get_num_threads())
    results, times = {}, interleaved(steps, args.rounds)
    for (name, b), seconds in times.items():
        results.setdefault(name, {})[b] = spread([b / s for s in seconds])
    claims = {}
    for b in args.batches:
        claims |= batch_claims(times, b)
    return results, claims


def verification(models, context, num_rounds):
    """{what: cost in plain steps, within a round, with spread} of a pass that judges draft tokens."""
    costs = {}
    for name in ("int8", "float32"):
        steps = {k: decode_step(models[name], 1, context, 1 + k) for k in (0, *DRAFTS)}
        times = interleaved(steps, 5 * num_rounds)
        for k in DRAFTS:
            costs[f"{name}, {k} draft tokens"] = spread([a / b for a, b in zip(times[k], times[0], strict=True)])
    return costs


def batch_claims(times, batch):
    """{what: ratio within a round, with spread} at one batch size: how much faster our models are than llama.cpp's."""
    claims = {}
    for theirs in [name for name, b in times if b == batch and name.startswith("llama.cpp")]:
        for ours in [name for name, b in times if b == batch and not name.startswith("llama.cpp")]:
            pairs = zip(times[theirs, batch], times[ours, batch], strict=True)
            claims[f"{ours} against {theirs}, batch {batch}"] = spread([slow / fast for slow, fast in pairs])
    return claims


def print_sweep(sweep, claims, context):
    """Tokens per second by batch size, and the ratios at the largest."""
    print(f"\ndecode tokens/s at context {context}, by batch size")
    for name, row in sweep.items():
        cells = (f"{batch}: {v['median']:.0f} ({v['min']:.0f} to {v['max']:.0f})" for batch, v in row.items())
        print(f"{name:24} {'   '.join(cells)}")
    print_claims(claims)
