"""Measurements, each with a table, JSON and a plot: `python -m mini_engine bench paged`, `bench ablation`, …"""

import argparse
import importlib
import importlib.util
import platform
import time

import torch

# name -> its module, which has add_arguments(parser) and run(args) -> exit code
BENCHES = {
    "paged": "mini_engine.bench.paged",
    "ablation": "mini_engine.bench.ablation",
    "cpu": "mini_engine.bench.cpu",
    "gpu": "mini_engine.bench.gpu",
}


def add_arguments(parser):
    """The name of the measurement; what follows it goes there."""
    available = [name for name, module in BENCHES.items() if importlib.util.find_spec(module)]
    parser.add_argument("name", choices=available, help=f"one of: {', '.join(available)}; NAME --help says more")
    parser.add_argument("arguments", nargs=argparse.REMAINDER, help=argparse.SUPPRESS)


def run(args):
    """Run one measurement and return its exit code."""
    module = importlib.import_module(BENCHES[args.name])
    parser = argparse.ArgumentParser(prog=f"python -m mini_engine bench {args.name}", description=module.__doc__)
    parser.add_argument("--json", metavar="FILE", help="write the results to this file")
    parser.add_argument("--plot", metavar="FILE", help="write a picture to this file")
    module.add_arguments(parser)
    return module.run(parser.parse_args(args.arguments))


def machine():
    """What the figures were measured on: a dict for the JSON."""
    return {
        "date": time.strftime("%Y-%m-%d"),
        "processor": _processor(),
        "num_threads": torch.get_num_threads(),
        "gpu": torch.cuda.get_device_name() if torch.cuda.is_available() else None,
        "torch": torch.__version__,
        "python": platform.python_version(),
    }


def _processor():
    try:
        with open("/proc/cpuinfo", encoding="utf-8") as file:
            return next(line.split(":", 1)[1].strip() for line in file if line.startswith("model name"))
    except (OSError, StopIteration):
        return platform.processor() or platform.machine()
