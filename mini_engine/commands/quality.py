"""Measure what quantization costs a model: perplexity, KL divergence and top-1 agreement on a text."""

from pathlib import Path

import torch

from mini_engine.accounting import parameter_count
from mini_engine.bench.machine import machine
from mini_engine.bench.quality import CALIBRATION_TEXT, ROWS, TEXT, WINDOW, measure, read_windows
from mini_engine.bench.quality_table import print_table
from mini_engine.bench.timing import write_json
from mini_engine.loading import add_model_argument, load_parts


def add_arguments(parser):
    """Options of `python -m mini_engine quality`."""
    add_model_argument(parser)
    parser.add_argument("--text", default=TEXT, help="a text file, or the name of a shipped one")
    parser.add_argument("--calibration", default=CALIBRATION_TEXT, help="another text, for AWQ and GPTQ")
    parser.add_argument("--tokens", type=int, default=4096, help="tokens of the text to measure on")
    parser.add_argument("--calibration-tokens", type=int, default=6144)
    parser.add_argument("--rows", nargs="+", choices=ROWS, default=list(ROWS), metavar="ROW", help=", ".join(ROWS))
    parser.add_argument("--threads", type=int, help="of torch; all cores by default")
    parser.add_argument("--output", type=Path, help="also write the measurement here, as JSON")


def run(args):
    """Print the table, and write the measurement if asked. Returns 0."""
    if args.threads:
        torch.set_num_threads(args.threads)
    config, weights, tokenizer = load_parts(args.model)
    windows = read_windows(args.text, tokenizer, args.tokens)
    calibration = read_windows(args.calibration, tokenizer, args.calibration_tokens)
    data = {
        "model": "SmolLM2-135M-Instruct" if args.model == "smollm2" else config.name,
        "num_parameters": parameter_count(config),
        "text": Path(args.text).name,
        "num_predictions": sum(len(ids) - 1 for ids in windows),
        "calibration_text": Path(args.calibration).name,
        "num_calibration_tokens": args.calibration_tokens,
        "window": WINDOW,
        "machine": machine(),
        "rows": measure(config, weights, windows, calibration, args.rows),
    }
    print_table(data)
    write_json(args.output, data)
    return 0
