"""Tables and plots of a run of `bench gpu`; the same functions show a recorded run in the book."""

from pathlib import Path

import numpy as np

from mini_engine.plotting import COLORS, figure
from mini_engine.speed import ridge_point


def ms(values):
    """Median milliseconds and their spread, from {median, min, max} in seconds."""
    return f"{1e3 * values['median']:.3f} ({1e3 * values['min']:.3f} to {1e3 * values['max']:.3f})"


def ceiling_lines(results):
    """The device and its ceilings as lines of text."""
    machine, ceilings = results["machine"], results["ceilings"]
    flops = ", ".join(f"{name} {value / 1e12:.2f}" for name, value in ceilings["matmul_flops"].items())
    return [
        f"{machine['name']}, torch {machine['torch']}, {machine['date']}, {results['model']}",
        f"memory {ceilings['bandwidth'] / 1e9:.1f} GB/s; matmul TFLOP/s: {flops}; "
        f"launch {1e6 * ceilings['launch_s']:.2f} µs, in a graph {1e6 * ceilings['graph_launch_s']:.2f} µs",
    ]


def step_lines(rows, name):
    """A table of steps: kernels, floor, prediction and time in ms, with what `name` picks from a row in front."""
    lines = [f"{'':24}{'kernels':>8}{'floor':>9}{'predicted':>11}   measured ms"]
    for row in rows:
        lines.append(
            f"{name(row):24}{row['num_kernels']:8}{1e3 * row['floor_s']:9.3f}{1e3 * row['predicted_s']:11.3f}   "
            f"{ms(row['measured_s'])}"
        )
    return lines


def part_lines(name, part):
    """One part of a run as lines of text."""
    if "missing" in part:
        return [f"missing: {part['missing']}"]
    if name == "check":
        rows = [row for kind in ("float32", "reduced") if kind in part for row in part[kind]["rows"]]
        worst = {kind: max(row["max_difference"] for row in part[kind]["rows"]) for kind in part if kind != "wall_s"}
        agree = sum(row["same_first_choice"] for row in rows)
        return [f"largest difference of logits {worst}, same first choice {agree} of {len(rows)}"]
    if name == "road":
        lines = []
        for kind in ("float32", "reduced"):
            if kind in part:
                lines += [part[kind]["dtype"], *step_lines(part[kind]["rows"], lambda row: row["how"])]
                lines.append(f"same text: {[row['same_text'] for row in part[kind]['rows']]}")
        return lines
    if name == "stack":
        lines = step_lines(part["rows"], lambda row: row["scheme"])
        for row in part["rows"]:
            costs = ", ".join(f"{v['num_new']}: {v['relative']:.2f}" for v in row["verification"])
            share = f"{row['share_of_bandwidth']:.0%} of the bandwidth, {row['speedup']:.2f} times as fast"
            lines.append(f"{row['scheme']}: {share}; cost of verifying, in steps: {costs}")
        return lines
    return other_part_lines(name, part)


def other_part_lines(name, part):
    """part_lines for the rest."""
    rows = part["rows"]
    if name == "quantized":
        errors = [f"{r['scheme']}: KL {r['kl']:.4f}, same choice {r['agreement']:.1%}" for r in rows]
        return [*step_lines(rows, lambda row: row["scheme"]), *errors]
    if name in ("batch_sweep", "verification"):
        key = "batch" if name == "batch_sweep" else "num_new"
        speeds = ", ".join(f"{row[key]}: {row['tokens_per_s']:.0f}" for row in rows)
        return [*step_lines(rows, lambda row: f"{key} {row[key]}"), f"tokens/s {speeds}"]
    if name == "int8_kv":
        return [
            f"{r['cache']}: {r['bytes_per_token']:.0f} B/token, {ms(r['measured_s'])} ms, KL {r['kl']:.5f}"
            for r in rows
        ]
    if name == "serving":
        names = {False: "launched", True: "recorded"}
        same = f"of {part['num_requests']} texts as without graphs"  # padded batches may round 16 bits otherwise
        return [
            f"{names[r['graphs']]}: {r['tokens_per_s']['median']:.0f} tokens/s, {r['num_same_text']} {same}"
            for r in rows
        ] + [part["note"]]
    lines = [f"{r['name']}: {ms(r['tpot_s'])} ms/token, {r['times_ours']['median']:.2f} times ours" for r in rows]
    return lines + [f"{name}: missing: {why}" for name, why in part["missing_peers"].items()]


def print_results(results):
    """Everything a run found, as text."""
    print("\n".join(ceiling_lines(results)))
    for name, part in results.items():
        if isinstance(part, dict) and ("wall_s" in part or "missing" in part):
            print(f"\n{name} ({part.get('wall_s', 0):.0f} s)")
            print("\n".join(part_lines(name, part)))


def plot_road(results, kind="reduced"):
    """(fig, ax): predicted and measured milliseconds of each step of the road, with the floor of its bytes."""
    rows = results["road"].get(kind, results["road"]["float32"])["rows"]
    fig, ax = figure()
    at = np.arange(len(rows))
    ax.bar(at - 0.2, [1e3 * row["measured_s"]["median"] for row in rows], 0.4, label="measured", color=COLORS[0])
    ax.bar(at + 0.2, [1e3 * row["predicted_s"] for row in rows], 0.4, label="predicted", color=COLORS[1])
    ax.scatter(
        at, [1e3 * row["floor_s"] for row in rows], marker="_", s=900, color=COLORS[2], label="bytes / bandwidth"
    )
    ax.set(yscale="log", ylabel="time per token (ms)")
    ax.set_xticks(at, [row["how"] for row in rows])
    ax.legend()
    return fig, ax


def plot_sweep(results):
    """(fig, ax): tokens per second by batch size, measured and predicted by the roofline."""
    rows = results["batch_sweep"]["rows"]
    batches = [row["batch"] for row in rows]
    fig, ax = figure()
    ax.plot(batches, [row["tokens_per_s"] for row in rows], marker="o", label="measured")
    ax.plot(batches, [row["batch"] / row["predicted_s"] for row in rows], "--", label="predicted")
    ceilings = results["ceilings"]
    ridge = ridge_point(max(ceilings["matmul_flops"].values()), ceilings["bandwidth"])
    ax.set(
        xscale="log", yscale="log", xlabel="batch size", ylabel="tokens/s", title=f"ridge: {ridge:.0f} FLOP per byte"
    )
    ax.legend()
    return fig, ax


def plot_stack(results):
    """(fig, axes): share of the bandwidth by scheme, and the cost of verifying 1 to 32 tokens in decode steps."""
    rows = results["stack"]["rows"]
    fig, axes = figure(1, 2, size=(9.6, 3.8))
    bars = axes[0].bar([row["scheme"] for row in rows], [100 * row["share_of_bandwidth"] for row in rows])
    axes[0].bar_label(bars, fmt="%.0f%%")
    axes[0].set(ylabel="of the bandwidth (%)", title=results["stack"]["shape"]["name"])
    for row in rows:
        points = [(v["num_new"], v["relative"]) for v in row["verification"]]
        axes[1].plot(*zip(*points, strict=True), marker="o", label=row["scheme"])
    axes[1].set(xscale="log", xlabel="tokens verified at once", ylabel="cost in decode steps")
    axes[1].legend()
    return fig, axes


PLOTS = {"road": plot_road, "batch_sweep": plot_sweep, "stack": plot_stack}


def save_plots(results, folder):
    """Write a picture of each part that was run into a folder."""
    Path(folder).mkdir(parents=True, exist_ok=True)
    for name, plot in PLOTS.items():
        if "missing" not in results.get(name, {"missing": ""}):
            plot(results)[0].savefig(Path(folder) / f"{name}.png", dpi=150, facecolor="white")
