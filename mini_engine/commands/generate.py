"""Continue a text greedily, token by token."""

import sys

from mini_engine.device import choose_device
from mini_engine.generate import check_request, generate
from mini_engine.loading import KERNELS, add_kernels_argument, add_model_argument, load, load_parts
from mini_engine.quant.pages import FORMATS


def add_arguments(parser):
    """Options of `python -m mini_engine generate`."""
    parser.add_argument("prompt", help="the text to continue, or the question with --chat")
    parser.add_argument("--chat", action="store_true", help="put the prompt into the model's chat template")
    parser.add_argument("--max-tokens", type=int, default=64, metavar="N", help="new tokens at most (default 64)")
    parser.add_argument("--no-cache", action="store_true", help="recompute everything for every token")
    add_model_argument(parser)
    parser.add_argument("--quant", choices=("int8", "int4"), help="weights in 8 or 4 bits")
    parser.add_argument("--kv-dtype", choices=FORMATS, help="KV cache in 8 or 4 bits, blocks of 32 with a scale each")
    parser.add_argument("--device", default="cpu", help="cpu (default), cuda, or webgpu (in int8)")
    add_kernels_argument(parser)


def run(args):
    """Print the prompt's continuation as it comes. Returns 0."""
    config, tokenizer, continuation = on_webgpu(args) if args.device == "webgpu" else on_torch_device(args)
    if args.chat:
        ids = tokenizer.apply_chat_template([{"role": "user", "content": args.prompt}])
    else:
        ids = tokenizer.encode(args.prompt)
    check_request(config, ids, args.max_tokens)
    if not args.chat:
        sys.stdout.write(args.prompt)
    text = tokenizer.stream()
    for token in continuation(ids):
        sys.stdout.write(text.feed(token))
        sys.stdout.flush()
    print(text.finish())
    return 0


def on_torch_device(args):
    """(config, tokenizer, a function from prompt ids to the ids that follow), on the CPU or with CUDA."""
    model, tokenizer = load(args.model, args.quant, choose_device(args.device).device, compiled=KERNELS[args.kernels])

    def continuation(ids):
        return generate(model, ids, args.max_tokens, tokenizer.eos_token_id, not args.no_cache, args.kv_dtype)

    return model.config, tokenizer, continuation


def on_webgpu(args):
    """As on_torch_device, on a WebGPU device; without one, or once it is lost, one line says so and the CPU goes on."""
    from mini_engine.gpu.webgpu.decoder import WebGPUDecoder
    from mini_engine.gpu.webgpu.device import NoDevice

    if args.quant == "int4" or args.no_cache or args.kv_dtype:
        raise ValueError("on webgpu weights are int8 and the cache is float: no --quant int4, --no-cache or --kv-dtype")
    config, weights, tokenizer = load_parts(args.model)

    def continuation(ids):
        done = []
        try:
            decoder = WebGPUDecoder(config, weights, len(ids) + args.max_tokens)
            for token in decoder.generate(ids, args.max_tokens, tokenizer.eos_token_id):
                done.append(token)
                yield token
        except NoDevice as error:
            print(f"{error}: the CPU goes on in int8", file=sys.stderr)
            model, _ = load(args.model, "int8", compiled=KERNELS[args.kernels])
            if tokenizer.eos_token_id not in done[-1:]:
                yield from generate(model, ids + done, args.max_tokens - len(done), tokenizer.eos_token_id)

    return config, tokenizer, continuation
