"""Check the result file of the vLLM lab of chapter 12, and plot it.

The file is what `vllm bench serve --save-result --append-result` writes: one JSON object after the other.
"""

import json
from pathlib import Path

from mini_engine.accounting import matmul_parameters, quantized_bytes
from mini_engine.config import ModelConfig
from mini_engine.plotting import figure

QWEN_1_5B = ModelConfig("qwen2.5-1.5b", 28, 1536, 12, 2, 8960, 151_936, 128, tie_word_embeddings=True)
T4_BANDWIDTH = 320e9  # bytes per second, NVIDIA's product page: no T4 reads faster
CONCURRENCIES = (1, 32)
NUMBERS = ("num_prompts", "completed", "total_output_tokens", "duration", "output_throughput", "median_tpot_ms")


def floors_ms():
    """Milliseconds to read each format's matrices once on a T4: {"fp16", "awq"}."""
    head = QWEN_1_5B.hidden_size * QWEN_1_5B.vocab_size
    layers = matmul_parameters(QWEN_1_5B) - head
    # AWQ: groups of 128 with a float16 scale and a 4-bit zero point; the head stays in 16 bits
    sizes = {"fp16": 2 * (layers + head), "awq": quantized_bytes(layers, 4, 128, 2, 0.5) + 2 * head}
    return {name: 1e3 * n_bytes / T4_BANDWIDTH for name, n_bytes in sizes.items()}


def read_runs(path):
    """The runs of a file as {(format, concurrency): result}. Raises ValueError with what is wrong and where."""
    text, decoder, runs, place = Path(path).read_text(encoding="utf-8").strip(), json.JSONDecoder(), {}, 0
    while place < len(text):
        try:
            result, place = decoder.raw_decode(text, place)
        except json.JSONDecodeError as error:
            raise ValueError(f"{path}, line {error.lineno}: not JSON ({error.msg})") from None
        place += len(text[place:]) - len(text[place:].lstrip())
        if not isinstance(result, dict):
            raise ValueError(f"{path}: expected JSON objects, found a {type(result).__name__}")
        missing = [key for key in ("model_id", "max_concurrency", *NUMBERS) if key not in result]
        if missing:
            raise ValueError(f"{path}, run {len(runs) + 1} lacks {', '.join(missing)}: is it from vllm bench serve?")
        key = "awq" if "awq" in str(result["model_id"]).lower() else "fp16", result["max_concurrency"]
        if key in runs:
            raise ValueError(f"{path} holds two runs of {key[0]} at concurrency {key[1]}: remove the one you discard")
        runs[key] = result
    wanted = [(name, concurrency) for name in ("fp16", "awq") for concurrency in CONCURRENCIES]
    if missing := [f"{key[0]} at concurrency {key[1]}" for key in wanted if key not in runs]:
        raise ValueError(f"{path} lacks {', '.join(missing)}")
    return {key: runs[key] for key in wanted}


def problems(runs):
    """What makes these runs no measurement, a list of sentences; empty when they can be compared."""
    found, floors, lengths = [], floors_ms(), set()
    for (name, concurrency), run in runs.items():
        where = f"{name} at concurrency {concurrency}"
        if bad := [key for key in NUMBERS if not isinstance(run[key], int | float) or not run[key] > 0]:
            found.append(f"{where}: {', '.join(bad)} should be above 0")
            continue
        lengths.add(run["total_output_tokens"] / run["completed"])
        if run["completed"] != run["num_prompts"]:
            found.append(f"{where}: only {run['completed']} of {run['num_prompts']} requests completed")
        rate = run["total_output_tokens"] / run["duration"]
        if abs(run["output_throughput"] / rate - 1) > 0.01:
            found.append(f"{where}: {run['output_throughput']:.1f} tokens/s is not tokens over seconds, {rate:.1f}")
        if run["median_tpot_ms"] < floors[name]:
            limit = f"a T4 needs {floors[name]:.2f} ms to read the weights once"
            found.append(f"{where}: a median TPOT of {run['median_tpot_ms']:.2f} ms is not possible, {limit}")
    if len(lengths) > 1:
        shown = ", ".join(f"{length:g}" for length in sorted(lengths))
        found.append(f"answers have {shown} tokens on average: the runs differ in work, use --ignore-eos in all")
    return found


def lines(runs):
    """The table to print."""
    table = [f"{'':6}{'at once':>8}{'tokens/s':>10}{'TPOT median':>13}{'floor':>8}   (ms)"]
    for (name, concurrency), run in runs.items():
        floor = floors_ms()[name]
        table.append(
            f"{name:6}{concurrency:8}{run['output_throughput']:10.1f}{run['median_tpot_ms']:13.2f}{floor:8.2f}"
        )
    one, many = (runs["fp16", n] for n in CONCURRENCIES)
    ratio = one["median_tpot_ms"] / runs["awq", 1]["median_tpot_ms"]
    rate = runs["awq", CONCURRENCIES[1]]["output_throughput"] / many["output_throughput"]
    bound = floors_ms()["fp16"] / floors_ms()["awq"]
    table.append(f"AWQ against fp16: TPOT of one stream {ratio:.2f} times as short, at most {bound:.2f} by the bytes;")
    return [*table, f"throughput at {CONCURRENCIES[1]} streams {rate:.2f} times as high."]


def plot(runs, path):
    """Write the two comparisons as a picture; made-up numbers are called so on it."""
    fig, axes = figure(1, 2, size=(8, 3.6))
    names = ("fp16", "awq")
    tpot_ms = [runs[name, 1]["median_tpot_ms"] for name in names]
    axes[0].bar(names, tpot_ms, width=0.5)
    axes[0].plot(names, [floors_ms()[name] for name in names], "D", color="C1", label="weights read once")
    axes[0].set(ylabel="median TPOT (ms)", title="One stream", ylim=(0, 1.3 * max(tpot_ms)))
    axes[0].legend()
    axes[1].bar(names, [runs[name, CONCURRENCIES[1]]["output_throughput"] for name in names], width=0.5)
    axes[1].set(ylabel="output tokens per second", title=f"{CONCURRENCIES[1]} streams")
    if is_made_up(runs):
        fig.text(0.5, 0.5, "MADE UP", ha="center", va="center", fontsize=56, rotation=20, alpha=0.6, color="C1")
    fig.savefig(path, dpi=150, facecolor="white")


def is_made_up(runs):
    """Whether a run says of itself that nobody measured it."""
    return any(run.get("made_up") for run in runs.values())


def add_arguments(parser):
    parser.add_argument("file", type=Path, help="what vllm bench serve wrote: four runs")
    parser.add_argument("--plot", type=Path, help="the picture to write (default: beside the file, as .png)")


def run(args):
    """Print the table and write the plot, or say what is wrong and return 1."""
    runs = read_runs(args.file)
    if is_made_up(runs):
        print("MADE UP: these numbers show the format of the file. They were not measured.")
    found = problems(runs)
    for sentence in found:
        print(sentence)
    if found:
        return 1
    print("\n".join(lines(runs)))
    picture = args.plot or args.file.with_suffix(".png")
    plot(runs, picture)
    print(f"all four runs can be compared; plot: {picture}")
    return 0
