"""Check and time the decoder on the shipped 2-layer checkpoint: `python -m mini_engine.transformer --mode MODE`.

evaluate compares the logits of a full pass with the ones that transformers computed (data/README.md), kv_evaluate
the same through the cache in several splits, benchmark measures generation with and without the cache.
"""

import argparse
import statistics
import sys
import time

import torch

from mini_engine.generate import generate
from mini_engine.model import Llama
from mini_engine.plotting import figure
from mini_engine.weights import load_tiny, load_tiny_expected

TOLERANCE = 1e-4  # float32 logits of spread 1; right code differs by a few 1e-6
LENGTHS = (10, 50, 100, 500, 1000)


def full_pass(model, ids):
    """Logits [N, V] from one pass over the whole prompt."""
    return model(torch.tensor([ids]))[0]


def cached_passes(model, ids, chunk):
    """The same logits from passes of `chunk` tokens each through a KV cache."""
    cache = model.new_cache(len(ids))
    passes = [model(torch.tensor([ids[i : i + chunk]]), cache)[0] for i in range(0, len(ids), chunk)]
    return torch.cat(passes)


def largest_difference(got, expected):
    """max |got - expected|; infinity where a value is missing or not a number."""
    if got.shape != expected.shape or not torch.isfinite(got).all():
        return float("inf")
    return (got - expected).abs().max().item()


def evaluate(model, use_cache=False):
    """Compare with what transformers computed: a list of (what, largest difference) to print and judge.

    Logits count in logits; a greedy continuation differs by 0 when every id is equal, else by infinity.
    """
    found = []
    for case in load_tiny_expected():
        ids, expected = case["ids"].tolist(), torch.from_numpy(case["logits"])
        chunks = [chunk for chunk in (1, 3, len(ids)) if chunk <= len(ids)] if use_cache else []
        for chunk in sorted(set(chunks)):
            what = f"prompt of {len(ids)}, {chunk} a pass"
            found.append((what, largest_difference(cached_passes(model, ids, chunk), expected)))
        if not use_cache:
            found.append((f"prompt of {len(ids)}", largest_difference(full_pass(model, ids), expected)))
        greedy = list(generate(model, ids, len(case["greedy"]), use_cache=use_cache))
        same = greedy == case["greedy"].tolist()
        found.append((f"prompt of {len(ids)}, {len(greedy)} greedy tokens", 0.0 if same else float("inf")))
    return found


def judge(found):
    """Print each comparison and the verdict. Returns the exit code: 0 when all are within tolerance."""
    for what, difference in found:
        print(f"{what:40} {difference:.2e}")
    worst = max(difference for _, difference in found)
    print("pass" if worst <= TOLERANCE else f"fail: largest difference {worst:.2e}, allowed {TOLERANCE:.0e}")
    return 0 if worst <= TOLERANCE else 1


def seconds_to_generate(model, length, new_tokens, use_cache):
    """Seconds of one run: new_tokens after a prompt of `length`."""
    prompt = [(7 * i + 3) % model.config.vocab_size for i in range(length)]
    start = time.perf_counter()
    list(generate(model, prompt, new_tokens, use_cache=use_cache))
    return time.perf_counter() - start


def benchmark(model, lengths=LENGTHS, new_tokens=16, repeats=5):
    """Rows (length, seconds without the cache, seconds with it): medians of `repeats` rounds after a warm-up.

    The two ways take turns in each round, so that another program on the machine slows both.
    """
    rows = []
    for length in lengths:
        rounds = [
            [seconds_to_generate(model, length, new_tokens, use_cache) for use_cache in (False, True)]
            for _ in range(repeats + 1)
        ]
        rows.append((length, *map(statistics.median, zip(*rounds[1:], strict=True))))
    return rows


def save_plot(rows, new_tokens, path):
    """Both curves over the prompt length, written to `path` (format by its suffix)."""
    fig, ax = figure()
    lengths, without, cached = zip(*rows, strict=True)
    ax.plot(lengths, without, marker="o", label="without a cache")
    ax.plot(lengths, cached, marker="s", label="with the KV cache")
    ax.set(xscale="log", yscale="log", xlabel="prompt length (tokens)", ylabel=f"time for {new_tokens} tokens (s)")
    ax.legend()
    fig.savefig(path, bbox_inches="tight", facecolor="white")


def run_benchmark(model, args):
    """Print the table and write the plot. Returns 0."""
    longest = model.config.max_position_embeddings - args.new_tokens
    if min(args.lengths) < 1 or max(args.lengths) > longest or args.new_tokens < 1 or args.repeats < 1:
        raise ValueError(f"lengths must be 1 to {longest}, new tokens and repeats at least 1")
    rows = benchmark(model, args.lengths, args.new_tokens, args.repeats)
    print(f"{'prompt':>8} {'no cache (s)':>14} {'cache (s)':>12} {'ratio':>8}")
    for length, without, cached in rows:
        print(f"{length:8} {without:14.4f} {cached:12.4f} {without / cached:8.1f}")
    save_plot(rows, args.new_tokens, args.plot)
    print(f"median of {args.repeats}, {args.new_tokens} new tokens; plot written to {args.plot}")
    return 0


def main(argv=None):
    """Returns 0 on a pass, 1 on a failure or a request that makes no sense."""
    parser = argparse.ArgumentParser(prog="python -m mini_engine.transformer", description=__doc__)
    parser.add_argument("--mode", choices=("evaluate", "kv_evaluate", "benchmark"), required=True)
    parser.add_argument("--lengths", type=int, nargs="+", default=LENGTHS, help="prompt lengths to time")
    parser.add_argument("--new-tokens", type=int, default=16, help="tokens generated in each run (default 16)")
    parser.add_argument("--repeats", type=int, default=5, help="runs per figure, the median counts (default 5)")
    parser.add_argument("--plot", default="kv_benchmark.png", help="where benchmark writes its plot")
    args = parser.parse_args(argv)
    model = Llama(*load_tiny())
    if args.mode != "benchmark":
        return judge(evaluate(model, use_cache=args.mode == "kv_evaluate"))
    try:
        return run_benchmark(model, args)
    except (ValueError, OSError) as error:
        print(f"transformer: {error}", file=sys.stderr)
        return 1


if __name__ == "__main__":
    raise SystemExit(main())
