"""Load test of any OpenAI-compatible server: requests per second, time to first token, time per output token."""

import sys

from mini_engine.bench.load_test import load_test, plot, table
from mini_engine.bench.timing import write_json


def add_arguments(parser):
    """Options of `python -m mini_engine load-test`."""
    parser.add_argument("--base-url", required=True, help="for example http://127.0.0.1:8000")
    parser.add_argument("--model", help="default: the first one the server lists")
    parser.add_argument("--num-requests", type=int, default=64, help="requests in all (default 64)")
    parser.add_argument("--concurrency", type=int, default=32, help="requests open at once (default 32)")
    parser.add_argument("--request-rate", type=float, help="Poisson arrivals per second (default: no pause)")
    parser.add_argument("--max-tokens", type=int, default=64, help="output tokens per request (default 64)")
    parser.add_argument("--prompts", help="a file with one prompt per line")
    parser.add_argument("--chat", action="store_true", help="use the chat endpoint")
    parser.add_argument("--ignore-eos", action="store_true", help="always max-tokens tokens (an extension)")
    parser.add_argument("--seed", type=int, default=0, help="of the arrivals (default 0)")
    parser.add_argument("--json", help="write the report to this file")
    parser.add_argument("--plot", help="write a picture to this file")


def run(args):
    """Print the report; 0 when every request succeeded, 1 otherwise."""
    prompts = None
    if args.prompts:
        with open(args.prompts, encoding="utf-8") as file:
            prompts = [line for line in file.read().splitlines() if line.strip()]
        if not prompts:
            raise ValueError(f"{args.prompts} has no prompt")
    names = ("num_requests", "concurrency", "request_rate", "max_tokens", "chat", "ignore_eos", "seed")
    report = load_test(args.base_url, args.model, prompts=prompts, **{name: getattr(args, name) for name in names})
    print(table(report))
    write_json(args.json, report)
    if args.plot and report["num_ok"]:
        plot(report, args.plot)
    if report["num_failed"]:
        print(f"{report['num_failed']} requests failed", file=sys.stderr)
    return 1 if report["num_failed"] else 0
