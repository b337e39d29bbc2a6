"""Measure drafts for SmolLM2-135M on this machine, for chapter 11.

    python tools/record_speculation.py [--tokens 48]

writes book/data/speculation.json: how often each draft agrees with the model, tokens per verification, what a pass over
T tokens costs, predicted and measured speed, and whether the text stayed the same. Greedy, with the compiled kernels,
the model in float32 and in int8; a few minutes.
"""

import argparse
import dataclasses
import json
import statistics
from pathlib import Path

import torch

from mini_engine.accounting import num_blocks_for
from mini_engine.bench.ablation import RECORDS
from mini_engine.bench.machine import machine
from mini_engine.bench.timing import interleaved, spread, write_json
from mini_engine.cpu.model import CompiledLlama
from mini_engine.engine import Engine
from mini_engine.files.fetch import GGUF_SHA256
from mini_engine.layers import Linear
from mini_engine.model import Llama
from mini_engine.paged_cache import PagedKVCache
from mini_engine.quant.modules import Int8Linear, W8A8Linear
from mini_engine.sequence import SamplingParams
from mini_engine.speculative import ModelDraft, NgramDraft, ngram_draft
from mini_engine.tokenizer import load_smollm2_tokenizer
from mini_engine.weights import load_smollm2

TARGET = Path(__file__).resolve().parents[1] / "book" / "data" / "speculation.json"
PROMPTS = {
    "records": RECORDS,
    "list": "The capital of France is Paris.\nThe capital of Italy is Rome.\nThe capital of Spain is",
    "fact": "The sky is blue because",
}
KS = (1, 2, 4, 8)
VERIFIED = (1, 2, 3, 5, 9, 17)
TARGETS = ("float32", "int8")


NUM_SERVED = 5  # runs of each served draft, in turns with the plain one


def replaced(model, kind):
    """The torch model with every Linear replaced by kind(weight)."""
    for parent in list(model.modules()):
        for name, child in list(parent.named_children()):
            if isinstance(child, Linear):
                setattr(parent, name, kind(child.weight))
    return model


def shallow(config, weights, num_layers):
    """The first layers, then the final norm and the head: early exit."""
    config = dataclasses.replace(config, num_hidden_layers=num_layers)
    return CompiledLlama(config, weights | {"layers": weights["layers"][:num_layers]})


def engine(model, draft=None):
    """A fresh engine, with room for one request and nothing kept from the last one."""
    return Engine(model, num_blocks=32, prefix_caching=False, draft=draft)


def written(model, ids, num_tokens, draft=None):
    """(output ids, ms per token after the first, verifications) of one greedy request."""
    served = engine(model, draft)
    seq = served.generate([ids], SamplingParams(max_tokens=num_tokens))[0]
    return seq.output_token_ids, 1e3 * (seq.tpot_s or 0.0), served.runner.num_passes - 1


@torch.inference_mode()
def agreement(model, prompt, output):
    """For each output token: would this model, given all before it, have chosen it? A list of bools."""
    logits = model(torch.tensor([prompt + output]))[0, len(prompt) - 1 : -1]
    return (logits.argmax(-1) == torch.tensor(output)).tolist()


def tokens_per_verification(hits, k):
    """Mean tokens of a verification when draft i of a round is right where hits[position + i] says so.

    A greedy draft counts only up to its first wrong token, and until there it has the target's own text before it, so
    the hits on the target's text give the exact count. The first token is the prompt pass's.
    """
    at, rounds = 1, 0
    while at < len(hits):
        accepted = 0
        while accepted < k and at + accepted < len(hits) - 1 and hits[at + accepted]:
            accepted += 1
        at, rounds = at + accepted + 1, rounds + 1
    return (len(hits) - 1) / rounds


def ngram_rounds(prompt, output, k):
    """(tokens drafted, tokens kept) of each round of the look-up, whose drafts depend on the text so far."""
    at, rounds = 1, []
    while at < len(output):
        draft = ngram_draft(prompt + output[:at], k)[: len(output) - at - 1]
        accepted = 0
        while accepted < len(draft) and draft[accepted] == output[at + accepted]:
            accepted += 1
        at += accepted + 1
        rounds.append((len(draft), accepted))
    return rounds


def ngram_record(prompt, output):
    """By k: tokens per verification, and how many rounds drafted 0, 1, … k tokens."""
    rounds = {k: ngram_rounds(prompt, output, k) for k in KS}
    return {
        "tokens_per_verification": {str(k): (len(output) - 1) / len(row) for k, row in rounds.items()},
        "rounds_by_draft": {str(k): [sum(d == n for d, _ in row) for n in range(k + 1)] for k, row in rounds.items()},
    }


@torch.inference_mode()
def pass_costs(models, counts, context, num_rounds):
    """A pass over n tokens behind `context` cached ones, in passes of the float32 target over one: {(name, n): cost}.

    Those of the int8 target over many tokens in its own passes over one. Also the float32 pass's median seconds. A
    cost is the median of the rounds' ratios.
    """
    functions = {}
    for name, model in models.items():
        cache = model.new_cache(context + max(counts))
        model.hidden_states(torch.ones(1, context, dtype=torch.long), cache)
        for n in counts if name in TARGETS else (1,):
            functions[name, n] = lambda m=model, c=cache, n=n: (m(torch.arange(n)[None], c), c.truncate(context))
    times = interleaved(functions, num_rounds)
    costs = {}
    for (name, n), row in times.items():
        base = times[name if name == "int8" and n > 1 else "float32", 1]
        costs[name, n] = statistics.median(t / one for t, one in zip(row, base, strict=True))
    return costs, statistics.median(times["float32", 1])


def serve_all(targets, drafts, prompts, num_tokens):
    """Each draft through the engine, in turns with the plain run: {draft: {prompt: what was measured}}."""
    rows = {}
    for name, (target, make, k) in drafts.items():
        rows[name] = {"k": k, "target": target, "prompts": {}}
        for title, ids in prompts.items():
            pairs, same, model = [], [], targets[target]
            for _ in range(NUM_SERVED):
                plain, plain_ms, _ = written(model, ids, num_tokens)
                out, ms, passes = written(model, ids, num_tokens, make())
                pairs.append(plain_ms / ms)
                same.append(out == plain)
            rows[name]["prompts"][title] = {
                "same_text": all(same),
                "tokens_per_verification": (len(out) - 1) / passes,
                "speedup": spread(pairs),
            }
            print(name, title, rows[name]["prompts"][title], flush=True)
    return rows


@torch.inference_mode()
def logit_shift(model, ids, num_more=4, num_places=8):
    """How far a token's logits move when it is fed with num_more others behind it instead of alone: largest, mean.

    With the engine's paged cache, as when it verifies a draft; over num_places tokens at the end of ids.
    """
    block_size = 16
    table = list(range(num_blocks_for(len(ids), block_size)))
    cache = PagedKVCache(model.config, len(table), block_size, model.dtype, model.device)

    def last_logits(start, end):
        cache.begin([table], [start], [end - start])
        return model(torch.tensor([ids[start:end]]), cache)[0, 0]

    first = len(ids) - num_more - num_places
    last_logits(0, first)
    shifts = []
    for place in range(first, first + num_places):
        together = last_logits(place, place + 1 + num_more)
        shifts.append((last_logits(place, place + 1) - together).abs())
    return {"max": max(shift.max().item() for shift in shifts), "mean": torch.stack(shifts).mean().item()}


def batch_dependence(config, weights, prompts, outputs, num_tokens):
    """By scheme: does a token's result depend on its neighbours, and is the text the same with speculation?"""
    kinds = {
        "float32": Linear,
        "int8 weights": Int8Linear,
        "W8A8, a scale per row": lambda weight: W8A8Linear(weight, per_row=True),
        "W8A8, a scale per batch": lambda weight: W8A8Linear(weight, per_row=False),
    }
    makers = {name: lambda kind=kind: replaced(Llama(config, weights), kind) for name, kind in kinds.items()}
    makers["int8 weights, compiled"] = lambda: CompiledLlama(config, weights, "int8")
    rows = {}
    for name, make in makers.items():
        model = make()
        same = [
            written(model, ids, num_tokens)[0] == written(model, ids, num_tokens, NgramDraft(4))[0]
            for ids in prompts.values()
        ]
        shifts = [logit_shift(model, prompts[title] + outputs[title]) for title in prompts]
        rows[name] = {
            "max": max(shift["max"] for shift in shifts),
            "mean": statistics.mean(shift["mean"] for shift in shifts),
            "same_text": same,
        }
        print(name, rows[name], flush=True)
    return rows


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tokens", type=int, default=48)
    parser.add_argument("--arithmetic", action="store_true", help="measure batch_dependence alone, into the file")
    args = parser.parse_args()
    config, weights = load_smollm2()
    tokenizer = load_smollm2_tokenizer()
    targets = {"float32": CompiledLlama(config, weights), "int8": CompiledLlama(config, weights, "int8")}
    prompts = {title: tokenizer.encode(text) for title, text in PROMPTS.items()}
    outputs = {title: written(targets["float32"], ids, args.tokens)[0] for title, ids in prompts.items()}
    if args.arithmetic:
        results = json.loads(TARGET.read_text())
        results["batch_dependence"] = batch_dependence(config, weights, prompts, outputs, args.tokens)
        return write_json(TARGET, results)
    exits = {f"first {n} layers": shallow(config, weights, n) for n in (10, 20, 24, 29)}
    models = {"int8": targets["int8"]} | exits
    for title, ids in outputs.items():
        print(title, repr(tokenizer.decode(ids)), flush=True)

    costs, step_s = pass_costs(targets | exits, VERIFIED, context=128, num_rounds=9)
    cost = {target: {str(n): costs[target, n] if n > 1 else 1.0 for n in VERIFIED} for target in TARGETS}
    lookups = {title: ngram_record(prompts[title], outputs[title]) for title in prompts}
    drafts = {"n-gram": {"cost": 0.0, "prompts": lookups}}
    for name, model in models.items():
        drafts[name] = {"cost": costs[name, 1], "prompts": {}}
        for title in prompts:
            hits = agreement(model, prompts[title], outputs[title])
            drafts[name]["prompts"][title] = {
                "agreement": sum(hits) / len(hits),
                "tokens_per_verification": {str(k): tokens_per_verification(hits, k) for k in KS},
            }
    print(json.dumps({"cost": cost, "drafts": drafts}, indent=1), flush=True)

    def model_draft(name):
        return lambda: ModelDraft(models[name], lambda: models[name].new_cache(512), 2)

    served = {
        "n-gram, k = 2": ("int8", lambda: NgramDraft(2), 2),
        "n-gram, k = 4": ("int8", lambda: NgramDraft(4), 4),
        "int8, k = 2": ("float32", model_draft("int8"), 2),
        "first 20 layers, k = 2": ("float32", model_draft("first 20 layers"), 2),
    }
    results = {
        "command": "python tools/record_speculation.py",
        "machine": machine(),
        "model": {"name": "SmolLM2-135M-Instruct", "gguf_sha256": GGUF_SHA256, "targets": list(TARGETS)},
        "num_tokens": args.tokens,
        "prompts": {title: {"text": PROMPTS[title], "answer": tokenizer.decode(outputs[title])} for title in prompts},
        "step_ms": 1e3 * step_s,
        "pass_cost": cost,
        "drafts": drafts,
        "served": serve_all(targets, served, prompts, args.tokens),
        "batch_dependence": batch_dependence(config, weights, prompts, outputs, args.tokens),
    }
    TARGET.parent.mkdir(exist_ok=True)
    write_json(TARGET, results)


if __name__ == "__main__":
    main()
