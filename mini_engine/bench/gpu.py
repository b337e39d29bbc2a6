"""Chapter 14 in one run: ceilings, the road to a recorded step, a 7B shape in few bits, batches, and other engines.

On a CPU the same code runs with smaller shapes; --quick is for tests.
"""

import dataclasses
import json
import time
from pathlib import Path

import torch
from tqdm import tqdm

from mini_engine.bench.ceilings import measure_ceilings
from mini_engine.bench.gpu_lab import batch_sweep, check, int8_kv, quantized, road, verification
from mini_engine.bench.gpu_peers import against_transformers, one_line, release, serving, stack
from mini_engine.bench.gpu_report import print_results, save_plots
from mini_engine.bench.machine import machine
from mini_engine.bench.random_model import random_weights
from mini_engine.bench.timing import write_json
from mini_engine.config import LLAMA_2_7B, SMOLLM2_135M
from mini_engine.device import choose_device
from mini_engine.model import Llama
from mini_engine.quant.modules import quantize_model
from mini_engine.weights import ModelUnavailable, load_smollm2, load_smollm2_expected, load_tiny, load_tiny_expected

TIME_LIMIT_S = 480
STACK_CPU = {"num_hidden_layers": 2, "hidden_size": 1024, "num_attention_heads": 8, "num_key_value_heads": 8}
STACK_CPU |= {"intermediate_size": 2752, "vocab_size": 8192}


@dataclasses.dataclass(frozen=True)
class Sizes:
    """How large everything is."""

    prompt: int
    num_new: int
    rounds: int
    batches: tuple
    lengths: tuple
    context: int
    kv_context: int
    requests: int
    stack: object


SIZES = {
    "cuda": Sizes(256, 32, 50, (1, 2, 4, 8, 16, 32, 64, 128, 256), (1, 2, 4, 8, 16, 32), 256, 4096, 128, LLAMA_2_7B),
    "cpu": Sizes(
        64, 8, 7, (1, 4, 16, 64), (1, 2, 4, 8, 16), 64, 512, 16,
        dataclasses.replace(LLAMA_2_7B, name="llama-2-7b cut down", **STACK_CPU),
    ),
    "quick": Sizes(
        12, 4, 3, (1, 2), (1, 2), 16, 32, 3,
        dataclasses.replace(
            LLAMA_2_7B, name="llama-2-7b in miniature", num_hidden_layers=2, hidden_size=128, num_attention_heads=4,
            num_key_value_heads=4, head_dim=32, intermediate_size=352, vocab_size=512,
        ),
    ),
}  # fmt: skip


def add_arguments(parser):
    parser.add_argument("--device", help="cuda or cpu; cuda where it works is the default")
    parser.add_argument("--model", choices=("smollm2", "random", "tiny"), help="real weights, or random ones")
    parser.add_argument("--quick", action="store_true", help="the smallest sizes: to see that everything runs")
    parser.add_argument("--only", nargs="+", metavar="PART", help="these parts only")
    parser.add_argument("--limit", type=float, default=TIME_LIMIT_S, help="start no part after so many seconds")


def lab_weights(name):
    """(name, config, weights, what transformers computes with them or None, a note or "").

    Where the real model cannot be had, random weights of its shape: times stay true, text means nothing.
    """
    if name == "tiny":
        cases = [
            {"text": "", "ids": case["ids"].tolist(), "logits": case["logits"][-1]} for case in load_tiny_expected()
        ]
        for case in cases:
            top = torch.from_numpy(case.pop("logits")).topk(20)
            case |= {"top_ids": top.indices.tolist(), "top_logits": top.values.tolist()}
        return "tiny", *load_tiny(), cases, ""
    note = ""
    if name == "smollm2":
        try:
            return "SmolLM2-135M-Instruct", *load_smollm2(), load_smollm2_expected(), note
        except ModelUnavailable as error:
            note = f"{error}; random weights of the same shape are used, so times are right and texts mean nothing"
    weights = random_weights(SMOLLM2_135M)
    weights["layers"] = list(weights["layers"])  # more than one model is made of them
    return "random weights of SmolLM2-135M's shape", SMOLLM2_135M, weights, None, note


def top_logits(ids, logits):
    """One case for gpu_lab.check: the 20 largest of the logits [V] that follow ids."""
    top = logits.topk(20)
    return {"text": "", "ids": ids, "top_ids": top.indices.tolist(), "top_logits": top.values.tolist()}


def expected_here(model, num_texts=3):
    """Stands in for the oracle of random weights: this engine on the CPU in float32."""
    cases = []
    for i in range(num_texts):
        ids = [(7919 * j + 311 * i) % model.config.vocab_size for j in range(5 + 7 * i)]
        with torch.inference_mode():
            cases.append(top_logits(ids, model(torch.tensor([ids]))[0, -1]))
    return cases


def plan(config, weights, expected, choice, sizes, ceilings):
    """{part: function without arguments}, the most telling first, so that a run cut short still has them."""
    device, dtype = choice.device, choice.dtype
    prompt = [(7919 * i + 311) % config.vocab_size for i in range(sizes.prompt)]
    models = {}

    def model(scheme=None, exact=False):
        key = scheme, torch.float32 if exact else dtype
        if key not in models:
            made = Llama(config, weights, key[1], device)
            models[key] = made if scheme is None else quantize_model(made, scheme)
        return models[key]

    def checked():
        oracle = expected or expected_here(Llama(config, weights))
        exact = {"float32": check(model(exact=True), oracle)}
        return exact if dtype == torch.float32 else exact | {"reduced": check(model(), oracle)}

    def roads():
        # in float32 all ways must write the same text; in 16 bits two equal logits may swap
        few = max(3, sizes.rounds // 5)
        found = {"float32": road(model(exact=True), ceilings, prompt, sizes.num_new, num_rounds=few)}
        if dtype != torch.float32:
            found["reduced"] = road(model(), ceilings, prompt, sizes.num_new, num_rounds=sizes.rounds)
        return found

    peers = {"num_new": 2 * sizes.num_new, "num_rounds": min(5, sizes.rounds)}
    return {
        "check": checked,
        "road": roads,
        "stack": lambda: stack(sizes.stack, ceilings, device, dtype, lengths=sizes.lengths, num_rounds=sizes.rounds),
        "quantized": lambda: quantized(
            {scheme: model(scheme) for scheme in (None, "int8", "int4")}, ceilings, prompt, sizes.context, sizes.rounds
        ),
        "batch_sweep": lambda: batch_sweep(model(), ceilings, sizes.batches, sizes.context, sizes.rounds),
        "verification": lambda: verification(model(), ceilings, sizes.lengths, sizes.context, sizes.rounds),
        "int8_kv": lambda: int8_kv(model(), ceilings, prompt, sizes.kv_context, sizes.rounds),
        "serving": lambda: serving(model(), sizes.requests, sizes.prompt // 4, sizes.prompt // 4),
        "transformers": lambda: against_transformers(model(), weights, prompt, **peers, compiled=device.type == "cuda"),
    }


def run_parts(parts, results, args):
    """Run the parts one by one; results[part] is what it returns, or why there is nothing, and the file grows along."""
    start = time.perf_counter()
    for name, part in tqdm(parts.items(), desc="parts", leave=False):
        if args.only and name not in args.only:
            continue
        began = time.perf_counter()
        if began - start > args.limit:
            results[name] = {"missing": f"not started: {args.limit:.0f} s were over"}
            continue
        try:
            results[name] = part()
        except Exception as error:  # whatever one part runs into, the others' results are wanted
            line = one_line(error)
            results[name] = {"missing": line}
            tqdm.write(f"{name}: {line}")
        results[name]["wall_s"] = time.perf_counter() - began
        release(results["machine"]["device"])
        write_json(args.json, results)
    return results


def run(args):
    """Print the tables, write JSON and plots if asked. Returns 0, or 1 when a part could not be run."""
    choice = choose_device(args.device)
    label, config, weights, expected, note = lab_weights(args.model or ("tiny" if args.quick else "smollm2"))
    notes = [*choice.notes, *[note] * bool(note)]
    for line in notes:
        print(line)
    sizes = SIZES["quick" if args.quick else choice.device.type]
    began = time.perf_counter()
    ceilings = measure_ceilings(choice.device, quick=args.quick)
    results = {"machine": machine(choice.device), "model": label, "notes": notes, "quick": args.quick}
    results |= {"sizes": {**dataclasses.asdict(sizes), "stack": sizes.stack.name}, "ceilings": ceilings.as_dict()}
    run_parts(plan(config, weights, expected, choice, sizes, ceilings), results, args)
    results["wall_s"] = time.perf_counter() - began
    write_json(args.json, results)
    print_results(results)
    if args.plot:
        save_plots(results, Path(args.plot))
    return int(any("missing" in part for part in results.values() if isinstance(part, dict)))


def load_run(path):
    """A recorded run, or None where there is none."""
    path = Path(path)
    return json.loads(path.read_text(encoding="utf-8")) if path.exists() else None
