"""Continue a text on several processes and hold it against one: `python -m mini_engine.parallel "The sea is"`."""

import argparse
import sys

from mini_engine.generate import generate
from mini_engine.loading import add_model_argument, load
from mini_engine.parallel.launch import WAYS, generate_on
from mini_engine.parallel.traffic import generation_traffic


def main(argv=None):
    """Returns 0 when the texts and the counts are equal, 1 when they are not or the request makes no sense."""
    parser = argparse.ArgumentParser(prog="python -m mini_engine.parallel", description=__doc__)
    parser.add_argument("prompts", nargs="+", metavar="prompt", help="texts to continue; a pipeline takes several")
    parser.add_argument("--processes", type=int, default=2, metavar="N", help="ranks (default 2)")
    parser.add_argument("--how", choices=list(WAYS), default="tensor", help="what is cut (default tensor)")
    parser.add_argument("--max-tokens", type=int, default=16, metavar="N", help="new tokens of each (default 16)")
    parser.add_argument("--timeout", type=float, default=60, metavar="S", help="seconds to wait for a message")
    add_model_argument(parser)
    args = parser.parse_args(argv)
    try:
        return compare(args)
    except (ValueError, OSError, RuntimeError) as error:
        print(f"parallel: {str(error).splitlines()[0]}", file=sys.stderr)
        return 1


def compare(args):
    """Print both texts' verdict and the counts. Returns the exit code."""
    model, tokenizer = load(args.model, compiled=False)
    prompts = [tokenizer.encode(prompt) for prompt in args.prompts]
    got = generate_on(args.processes, prompts, args.max_tokens, args.how, args.model, args.timeout)
    same = got.tokens == [list(generate(model, ids, args.max_tokens)) for ids in prompts]
    for prompt, tokens in zip(args.prompts, got.tokens, strict=True):
        print(prompt + tokenizer.decode(tokens))
    lengths = [len(ids) for ids in prompts]
    formula = generation_traffic(model.config, args.how, args.processes, lengths, args.max_tokens)
    print(f"{args.processes} processes, {args.how}: {'the same text as' if same else 'ANOTHER text than'} one process")
    print(f"sent     {got.num_messages:9,} messages {got.num_bytes:13,} bytes")
    print(f"formula  {formula.num_messages:9,} messages {formula.num_bytes:13,} bytes")
    return 0 if same and (got.num_messages, got.num_bytes) == (formula.num_messages, formula.num_bytes) else 1


if __name__ == "__main__":
    raise SystemExit(main())
