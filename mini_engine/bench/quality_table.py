"""Show a measurement of mini_engine.bench.quality, such as the recorded one. Needs neither torch nor the model."""

import json
from pathlib import Path

DATA = Path(__file__).parents[1] / "data"


def load_recorded(name="quality.json"):
    """A recorded run that the book shows, as written by --output."""
    return json.loads((DATA / name).read_text())


def plus_minus(value, error, d):
    """A value and its standard error with d decimals."""
    return f"{value:.{d}f} ± {error:.{d}f}"


def table(data):
    """Header and rows of a measurement as lists of strings: label, bits, perplexity, change, KL, agreement."""
    header = ["linear layers as", "bits", "perplexity", "change %", "KL (nats)", "same top-1"]
    lines = []
    for row in data["rows"]:
        lines.append(
            [
                row["label"],
                f"{row['bits_per_weight']:.2f}",
                plus_minus(row["perplexity"], row["perplexity_se"], d=2),
                plus_minus(row["change_percent"], row["change_percent_se"], d=2),
                plus_minus(row["kl"], row["kl_se"], d=5),
                plus_minus(row["agreement"], row["agreement_se"], d=3),
            ]
        )
    return header, lines


def describe(data):
    """One sentence: what was measured, on what text, where and when."""
    m = data["machine"]
    return (
        f"{data['model']} on {data['num_predictions']} tokens of {data['text']}, calibrated on "
        f"{data['num_calibration_tokens']} tokens of {data['calibration_text']}; {m['date']}, {m['processor']}, "
        f"{m['num_threads']} thread(s), torch {m['torch']}."
    )


def print_table(data):
    """Print a measurement as aligned text, standard errors behind ±."""
    header, lines = table(data)
    widths = [max(len(line[i]) for line in [header, *lines]) for i in range(len(header))]
    for line in [header, *lines]:
        print(line[0].ljust(widths[0]), *(cell.rjust(width) for cell, width in zip(line[1:], widths[1:], strict=True)))
    print(describe(data))
