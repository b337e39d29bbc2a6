"""Continue a text greedily, token by token."""

import sys

from mini_engine.device import choose_device
from mini_engine.generate import check_request, generate
from mini_engine.loading import KERNELS, add_kernels_argument, add_model_argument, load


def add_arguments(parser):
    """Options of `python -m mini_engine generate`."""
    parser.add_argument("prompt", help="the text to continue, or the question with --chat")
    parser.add_argument("--chat", action="store_true", help="put the prompt into the model's chat template")
    parser.add_argument("--max-tokens", type=int, default=64, metavar="N", help="new tokens at most (default 64)")
    parser.add_argument("--no-cache", action="store_true", help="recompute everything for every token")
    add_model_argument(parser)
    parser.add_argument("--quant", choices=("int8", "int4"), help="weights in 8 or 4 bits")
    parser.add_argument("--device", default="cpu", help="cpu (default) or cuda")
    add_kernels_argument(parser)


def run(args):
    """Print the prompt's continuation as it comes. Returns 0."""
    model, tokenizer = load(args.model, args.quant, choose_device(args.device).device, compiled=KERNELS[args.kernels])
    if args.chat:
        ids = tokenizer.apply_chat_template([{"role": "user", "content": args.prompt}])
    else:
        ids = tokenizer.encode(args.prompt)
        check_request(model.config, ids, args.max_tokens)
        sys.stdout.write(args.prompt)
    text = tokenizer.stream()
    for token in generate(model, ids, args.max_tokens, tokenizer.eos_token_id, not args.no_cache):
        sys.stdout.write(text.feed(token))
        sys.stdout.flush()
    print(text.finish())
    return 0
