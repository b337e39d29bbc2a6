"""One fixed workload, from the naive loop to the whole engine: what each part brings, and what it costs."""

import statistics
import time
from dataclasses import dataclass

from tqdm import tqdm

from mini_engine.accounting import num_blocks_for
from mini_engine.bench.machine import machine
from mini_engine.bench.timing import write_json
from mini_engine.engine import Engine
from mini_engine.generate import generate
from mini_engine.loading import add_model_argument, load, load_parts
from mini_engine.plotting import COLORS, figure
from mini_engine.sequence import SamplingParams
from mini_engine.speculative import NgramDraft

SYSTEM = (
    "You are a careful assistant of a small library. You answer in plain words and short sentences. You give one "
    "example where it helps. You never invent a book, and you say so when you do not know an answer. When you are "
    "asked for a list, you write one item per line and put a number in front of each.\n\n"
)
QUESTIONS = (
    "Question: Write the numbers from 1 to 20, one per line.\nAnswer:\n1\n2\n3\n",
    "Question: What is a library?\nAnswer:",
    "Question: Repeat this sentence three times: The library opens at nine.\nAnswer:",
    "Question: How do I borrow a book?\nAnswer:",
)
# what one stream repeats: speculation is for a stream that has the machine to itself
RECORDS = '[{"name": "Anna", "city": "Rome"},\n {"name": "Ben", "city": "Oslo"},\n {"name": "Clara", "city":'
BLOCK_SIZE = 16


@dataclass
class Served:
    """What one stage did: per request its token ids and the seconds, from the start, at which they came."""

    token_ids: list[list[int]]
    token_times: list[list[float]]
    peak_kv_bytes: int


def workload(tokenizer, num_requests, max_tokens):
    """[(prompt ids, max_tokens)]: a shared beginning but for each fourth, which is short; answers of three lengths."""
    beginnings = ["" if i % 4 == 3 else SYSTEM for i in range(num_requests)]
    prompts = [f"{b}Visitor {i + 1}. {QUESTIONS[i % len(QUESTIONS)]}" for i, b in enumerate(beginnings)]
    lengths = [max(1, max_tokens // 2), max_tokens, max(1, 3 * max_tokens // 4)]
    return [(tokenizer.encode(prompt), lengths[i % 3]) for i, prompt in enumerate(prompts)]


def one_at_a_time(model, requests, use_cache):
    """The first two stages: a request starts when the one before has ended."""
    start, ids, times = time.perf_counter(), [], []
    for prompt, max_tokens in requests:
        ids.append([])
        times.append([])
        for token in generate(model, prompt, max_tokens, use_cache=use_cache):
            ids[-1].append(token)
            times[-1].append(time.perf_counter() - start)
    longest = max(len(prompt) + max_tokens for prompt, max_tokens in requests)
    return Served(ids, times, model.new_cache(longest).num_bytes if use_cache else 0)


def batched(model, requests, **options):
    """All requests at once through a new Engine, whose prefix cache is empty.

    The token budget is one prompt, so that prompts start in different steps and later ones can find the first one's.
    """
    budget = max(len(prompt) for prompt, _ in requests)
    engine = Engine(model, max_num_seqs=len(requests), max_num_batched_tokens=budget, **options)
    start = time.perf_counter()
    sequences = engine.generate([p for p, _ in requests], [SamplingParams(max_tokens=n) for _, n in requests])
    times = [[t - start for t in seq.token_times] for seq in sequences]
    peak = engine.stats.peak_used_blocks * engine.cache.block_bytes
    return Served([seq.output_token_ids for seq in sequences], times, peak)


def stages(models, requests, num_draft_tokens):
    """{name: function}; each adds one part to the one before (int4 replaces int8). models: by scheme, None = float.

    Speculation is tried with int8 weights, whose passes over a few tokens cost least.
    """
    lengths = [len(prompt) + max_tokens for prompt, max_tokens in requests]
    num_blocks = sum(num_blocks_for(length, BLOCK_SIZE) for length in lengths) + len(requests)
    slots = {"block_size": max(lengths), "num_blocks": len(lengths), "prefix_caching": False}
    paged = {"block_size": BLOCK_SIZE, "num_blocks": num_blocks}
    return {
        "naive": lambda: one_at_a_time(models[None], requests, use_cache=False),
        "+ cache": lambda: one_at_a_time(models[None], requests, use_cache=True),
        "+ batching": lambda: batched(models[None], requests, **slots),
        "+ paging": lambda: batched(models[None], requests, **paged, prefix_caching=False),
        "+ prefix reuse": lambda: batched(models[None], requests, **paged),
        "+ int8": lambda: batched(models["int8"], requests, **paged),
        "+ int4": lambda: batched(models["int4"], requests, **paged),
        "+ speculation": lambda: batched(models["int8"], requests, **paged, draft=NgramDraft(num_draft_tokens)),
    }


def single_stages(model, request, num_draft_tokens):
    """The stages of one stream: speculation, without other rows in the pass."""
    options = {"num_blocks": 64, "prefix_caching": False}
    return {
        "one stream": lambda: batched(model, [request], **options),
        "+ speculation": lambda: batched(model, [request], **options, draft=NgramDraft(num_draft_tokens)),
    }


def report(name, runs, reference):
    """One row: medians over the runs, and how many requests have the reference's text."""
    rows = []
    for served in runs:
        duration_s = max(times[-1] for times in served.token_times)
        gaps = [(t[-1] - t[0]) / (len(t) - 1) for t in served.token_times if len(t) > 1]
        rows.append(
            {
                "duration_s": duration_s,
                "tokens_per_s": sum(map(len, served.token_ids)) / duration_s,
                "ttft_s": statistics.mean(times[0] for times in served.token_times),
                "tpot_s": statistics.mean(gaps),
            }
        )
    same = sum(a == b for a, b in zip(runs[0].token_ids, reference.token_ids, strict=True))
    row = {"stage": name, **{key: statistics.median(r[key] for r in rows) for key in rows[0]}}
    row["spread_duration_s"] = [min(r["duration_s"] for r in rows), max(r["duration_s"] for r in rows)]
    return row | {"peak_kv_bytes": runs[0].peak_kv_bytes, "num_same_text": same, "num_runs": len(runs)}


def ablation(plan, num_rounds=3, progress=True):
    """Run all stages of a plan and return their rows: a naive one once, the others num_rounds times, interleaved."""
    runs = {name: [] for name in plan}
    with tqdm(total=len(plan) * num_rounds, disable=not progress, leave=False) as bar:
        for i in range(num_rounds):
            for name, stage in plan.items():
                if name != "naive" or i == 0:
                    bar.set_description(name)
                    runs[name].append(stage())
                    bar.update()
    reference = next(iter(runs.values()))[0]
    return [report(name, served, reference) for name, served in runs.items()]


def table(rows):
    """The rows as text."""
    lines = [f"{'':16}{'tokens/s':>10}{'TTFT ms':>10}{'TPOT ms':>10}{'peak KV MB':>12}{'same text':>11}"]
    for r in rows:
        kv = f"{r['peak_kv_bytes'] / 1e6:.1f}"
        lines.append(
            f"{r['stage']:16}{r['tokens_per_s']:10.1f}{1000 * r['ttft_s']:10.0f}{1000 * r['tpot_s']:10.1f}{kv:>12}"
            f"{r['num_same_text']:>8} of {rows[0]['num_same_text']}"
        )
    return "\n".join(lines)


def plot(results, path):
    """Save throughput, TTFT, TPOT and peak KV memory of every stage."""
    rows = results["rows"]
    names = [r["stage"] for r in rows]
    panels = (
        ("tokens/s", [r["tokens_per_s"] for r in rows]),
        ("mean TTFT (ms)", [1000 * r["ttft_s"] for r in rows]),
        ("mean TPOT (ms)", [1000 * r["tpot_s"] for r in rows]),
        ("peak KV memory (MB)", [r["peak_kv_bytes"] / 1e6 for r in rows]),
    )
    fig, axes = figure(1, 4, size=(13, 3.8), sharey=True)
    for (label, values), ax, color in zip(panels, axes, COLORS, strict=False):
        bars = ax.barh(names, values, color=color)
        ax.bar_label(bars, fmt=lambda v: f"{v:,.0f}" if v >= 100 else f"{v:.3g}", padding=3)
        ax.set(xlabel=label, xlim=(0, 1.3 * max(values)))
    axes[0].invert_yaxis()
    fig.savefig(path, dpi=150, facecolor="white")


def add_arguments(parser):
    """Options of `python -m mini_engine bench ablation`."""
    add_model_argument(parser)
    parser.add_argument("--num-requests", type=int, default=12, help="requests, all at once (default 12)")
    parser.add_argument("--max-tokens", type=int, default=24, help="longest answer, in tokens (default 24)")
    parser.add_argument("--rounds", type=int, default=3, help="runs of each stage but the naive one (default 3)")
    parser.add_argument("--num-draft-tokens", type=int, default=4, help="tokens per n-gram draft (default 4)")


def run(args):
    """Print the table; returns 0."""
    if min(args.num_requests, args.max_tokens, args.rounds, args.num_draft_tokens) < 1:
        raise ValueError("all sizes must be at least 1")
    models = {quant: load(args.model, quant)[0] for quant in (None, "int8", "int4")}
    tokenizer = load_parts(args.model)[2]
    requests = workload(tokenizer, args.num_requests, args.max_tokens)
    num_prompt_tokens = [len(prompt) for prompt, _ in requests]
    rows = ablation(stages(models, requests, args.num_draft_tokens), args.rounds)
    single = tokenizer.encode(RECORDS), 2 * args.max_tokens
    single_rows = ablation(single_stages(models["int8"], single, args.num_draft_tokens), args.rounds)
    print(f"{len(requests)} requests of {min(num_prompt_tokens)} to {max(num_prompt_tokens)} prompt tokens")
    print(table(rows))
    print(f"\none stream, int8, {single[1]} tokens\n{table(single_rows)}")
    results = {
        "bench": "ablation",
        "machine": machine(),
        "model": args.model,
        "num_draft_tokens": args.num_draft_tokens,
    }
    results |= {"num_prompt_tokens": num_prompt_tokens, "max_tokens": [n for _, n in requests], "rows": rows}
    results |= {"single_max_tokens": single[1], "single_rows": single_rows}
    write_json(args.json, results)
    if args.plot:
        plot(results, args.plot)
    return 0
