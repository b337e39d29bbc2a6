"""Decoding on the CPU beside every peer that is installed, taking turns, so that one slow moment slows all.

A request is one prompt and some greedy tokens. Time per output token (TPOT) is measured between the first token and
the last, prefill until the first. Ratios are taken within a round; the spread is the smallest and the largest of them.
"""

import importlib.util
import os
import statistics
import tempfile
import time
from pathlib import Path

import torch
from tqdm import tqdm

from mini_engine.bench.ceilings import read_bandwidth
from mini_engine.bench.cpu_batch import batch_sweep, print_claims, print_sweep, verification
from mini_engine.bench.cpu_server import print_server, server_race
from mini_engine.bench.machine import machine, version_of
from mini_engine.bench.peers import (
    convert_gguf,
    llama_cpp_generate,
    llama_cpp_model,
    stamps,
    transformers_generate,
    transformers_llama,
)
from mini_engine.bench.timing import spread, write_json
from mini_engine.files.fetch import gguf_path
from mini_engine.generate import generate
from mini_engine.loading import load
from mini_engine.plotting import figure
from mini_engine.quant.modules import bytes_read_per_token
from mini_engine.weights import load_smollm2

BASE = "float32"
PEERS = ("transformers", "llama-cpp-python")
# (what is claimed, slower, faster): the ratio of their TPOT
CLAIMS = (
    ("KV cache against none", "no cache", "float32"),
    ("int8 against llama.cpp Q8_0", "llama.cpp Q8_0", "int8"),
    ("float32 against llama.cpp F32", "llama.cpp F32", "float32"),
    ("int4 against llama.cpp Q4_1", "llama.cpp Q4_1", "int4"),
    ("int8 against transformers", "transformers float32", "int8"),
    ("float32 against transformers", "transformers float32", "float32"),
    ("float32 against torch", "torch float32", "float32"),
    ("int8 against float32", "float32", "int8"),
)
# the same for the prefill
PREFILLS = (
    ("int8 against llama.cpp Q8_0", "llama.cpp Q8_0", "int8"),
    ("int8 against torch float32", "torch float32", "int8"),
    ("float32 against torch float32", "torch float32", "float32"),
)
PARTS = ("single", "batch", "verify", "server")


def add_arguments(parser):
    parser.add_argument("--contexts", type=int, nargs="+", default=[64, 512], help="prompt lengths (default 64 512)")
    parser.add_argument("--new-tokens", type=int, default=17, help="tokens in each run (default 17)")
    parser.add_argument("--rounds", type=int, default=7, help="rounds of all peers (default 7)")
    parser.add_argument("--batches", type=int, nargs="*", default=[4, 16, 64], help="batch sizes (default 4 16 64)")
    parser.add_argument("--threads", type=int, default=None, help="threads of every engine (default: torch's choice)")
    parser.add_argument("--only", nargs="+", metavar="NAME", help="these peers only")
    parser.add_argument("--parts", nargs="+", choices=PARTS, default=PARTS, help="what to measure (default: all)")


def installed(package):
    """Whether a package could be imported; it is not imported."""
    return importlib.util.find_spec(package) is not None


def own_models():
    """{name: model}: the engine's kernels with each kind of weights, and torch's in float32."""
    models = {BASE: load()[0]} | {scheme: load(quant=scheme)[0] for scheme in ("int8", "int4")}
    return models | {"torch float32": load(compiled=False)[0]}


def own_generate(model, use_cache=True):
    """A function (ids, num_new) -> the time of each token. Without a cache two steps do: each is a whole pass."""
    return lambda ids, num_new: stamps(generate(model, ids, num_new if use_cache else 3, use_cache=use_cache))


def llama_cpp_files(args, folder):
    """{kind: path}: the real model in each of llama.cpp's formats that is wanted, none where it is not installed."""
    files = {"Q4_1": gguf_path(), "Q8_0": folder / "q8_0.gguf", "F32": folder / "f32.gguf"}
    if not installed("llama_cpp"):
        return {}
    files = {kind: path for kind, path in files.items() if not args.only or f"llama.cpp {kind}" in args.only}
    for kind in files:
        if kind != "Q4_1":
            convert_gguf(files[kind], kind)
    return files


def all_peers(models, args, files):
    """{name: function (ids, num_new) -> times}: ours, and the installed engines with the same weights."""

    def is_wanted(name):
        return not args.only or name in args.only

    peers = {name: own_generate(model) for name, model in models.items() if is_wanted(name)}
    if is_wanted("no cache"):
        peers["no cache"] = own_generate(models[BASE], use_cache=False)
    if installed("transformers") and is_wanted("transformers float32"):
        theirs = transformers_llama(*load_smollm2(), attention="sdpa")
        peers["transformers float32"] = transformers_generate(theirs)
    for kind, path in files.items():
        llm = llama_cpp_model(path, max(args.contexts) + args.new_tokens + 1, torch.get_num_threads())
        peers[f"llama.cpp {kind}"] = llama_cpp_generate(llm)
    return peers


def race(peers, ids, args, bar):
    """{name: [(prefill seconds, seconds per output token), …]}, one pair a round, after a warm-up; and bandwidths."""
    rounds, bandwidths = {name: [] for name in peers}, []
    for number in range(args.rounds + 1):
        bandwidths.append(read_bandwidth("cpu"))
        for name, peer in peers.items():
            start = time.perf_counter()
            times = peer(ids, args.new_tokens)
            if number:
                rounds[name].append((times[0] - start, (times[-1] - times[0]) / (len(times) - 1)))
            bar.update()
    return rounds, bandwidths[1:]


def summarize(rounds, bandwidths, models, context):
    """The results of one context as a dict for JSON: per peer, and the claims as ratios within a round."""
    bandwidth = statistics.median(bandwidths)
    peers = {}
    for name, pairs in rounds.items():
        row = {"tpot_ms": spread([1e3 * tpot for _, tpot in pairs])}
        row["prefill_tokens_per_s"] = spread([context / prefill for prefill, _ in pairs])
        if name in models:
            row["weight_bytes"] = bytes_read_per_token(models[name])
            row["floor_ms"] = 1e3 * row["weight_bytes"] / bandwidth
            row["bandwidth_share"] = row["floor_ms"] / row["tpot_ms"]["median"]
        peers[name] = row
    result = {"context": context, "read_bandwidth": spread(bandwidths), "peers": peers}
    result["prefill_claims"] = ratios(rounds, PREFILLS, which=0)
    return result | {"claims": ratios(rounds, CLAIMS, which=1)}


def ratios(rounds, claims, which):
    """{what: how many times as fast, within a round, with spread} of the claims whose two peers ran."""
    return {
        what: spread([s[which] / f[which] for s, f in zip(rounds[slow], rounds[fast], strict=True)])
        for what, slow, fast in claims
        if slow in rounds and fast in rounds
    }


def print_summary(summary):
    """One context as a table."""
    print(f"\ncontext {summary['context']}, read bandwidth {summary['read_bandwidth']['median'] / 1e9:.1f} GB/s")
    print(f"{'':24} {'ms/token':>9} {'spread':>15} {'floor':>7} {'prefill tok/s':>14}")
    for name, row in summary["peers"].items():
        tpot, floor = row["tpot_ms"], f"{row['floor_ms']:.1f}" if "floor_ms" in row else ""
        around = f"{tpot['min']:.1f} to {tpot['max']:.1f}"
        prefill = row["prefill_tokens_per_s"]["median"]
        print(f"{name:24} {tpot['median']:9.1f} {around:>15} {floor:>7} {prefill:14.0f}")
    print_claims(summary["claims"])
    print_claims({f"prefill: {what}": ratio for what, ratio in summary["prefill_claims"].items()})


def save_plot(summary, path):
    """Bars of ms per token with their spread, written to `path`."""
    fig, ax = figure()
    names = list(summary["peers"])[::-1]
    tpot = [summary["peers"][name]["tpot_ms"] for name in names]
    error = [[t["median"] - t["min"] for t in tpot], [t["max"] - t["median"] for t in tpot]]
    ax.barh(names, [t["median"] for t in tpot], xerr=error)
    ax.set(xscale="log", xlabel=f"time per output token at context {summary['context']} (ms)")
    fig.savefig(path, bbox_inches="tight", facecolor="white")


def run(args):
    """Print the tables, write JSON and plot if asked. Returns 0."""
    if min(args.contexts) < 1 or args.rounds < 1 or args.new_tokens < 2 or min(args.batches, default=1) < 1:
        raise ValueError("contexts, rounds and batches must be at least 1, new tokens at least 2")
    if args.threads:
        torch.set_num_threads(args.threads)
    models = own_models()
    results = {
        "bench": "cpu",
        "machine": machine(),
        "command": f"bench cpu --threads {torch.get_num_threads()} --parts {' '.join(args.parts)}",
        "peers": {p: version_of(p) for p in PEERS},
        "new_tokens": args.new_tokens,
        "rounds": args.rounds,
    }
    with tempfile.TemporaryDirectory() as folder:
        files = llama_cpp_files(args, Path(folder))
        if "single" in args.parts:
            results["contexts"] = single_streams(models, args, files)
        if "batch" in args.parts and args.batches:
            results["batch"], results["batch_claims"] = batch_sweep(models, args, args.contexts[0], files)
            print_sweep(results["batch"], results["batch_claims"], args.contexts[0])
        if "verify" in args.parts:
            results["verification"] = verification(models, args.contexts[0], args.rounds)
            print_claims(results["verification"], "plain steps")
        if "server" in args.parts:
            results["server"] = server_race(models["int8"], args.rounds)
            print_server(results["server"])
    results["load_average_after"] = os.getloadavg() if hasattr(os, "getloadavg") else None
    write_json(args.json, results)
    if args.plot and "contexts" in results:
        save_plot(results["contexts"][0], args.plot)
    return 0


def single_streams(models, args, files):
    """One summary for each context, printed too."""
    peers, summaries = all_peers(models, args, files), []
    with tqdm(total=len(peers) * len(args.contexts) * (args.rounds + 1), desc="runs", leave=False) as bar:
        for context in args.contexts:
            ids = [(7919 * i + 311) % models[BASE].config.vocab_size for i in range(context)]
            rounds, bandwidths = race(peers, ids, args, bar)
            summaries.append(summarize(rounds, bandwidths, models, context))
    for summary in summaries:
        print_summary(summary)
    return summaries
