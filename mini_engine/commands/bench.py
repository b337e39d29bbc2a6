"""Measurements, each with a table, JSON and a plot: `python -m mini_engine bench paged`, `bench ablation`, …"""

import argparse
import importlib

# each is a module of mini_engine.bench with add_arguments(parser) and run(args) -> exit code
BENCHES = ("paged", "ablation", "cpu", "gpu", "webgpu")


def add_arguments(parser):
    """The name of the measurement; what follows it goes there."""
    parser.add_argument("name", choices=BENCHES, help=f"one of: {', '.join(BENCHES)}; NAME --help says more")
    parser.add_argument("arguments", nargs=argparse.REMAINDER, help=argparse.SUPPRESS)


def run(args):
    """Run one measurement and return its exit code."""
    module = importlib.import_module(f"mini_engine.bench.{args.name}")
    parser = argparse.ArgumentParser(prog=f"python -m mini_engine bench {args.name}", description=module.__doc__)
    parser.add_argument("--json", metavar="FILE", help="write the results to this file")
    parser.add_argument("--plot", metavar="FILE", help="write a picture to this file")
    module.add_arguments(parser)
    return module.run(parser.parse_args(args.arguments))
