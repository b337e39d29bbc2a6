"""Serve a model over HTTP with the API of OpenAI: completions, chat, streaming, metrics."""

import os
import signal
import socket
import threading

import torch
import uvicorn

from mini_engine.beyond.lora import LoraModel, load_adapter
from mini_engine.device import choose_device
from mini_engine.engine import Engine
from mini_engine.loading import KERNELS, add_kernels_argument, add_model_argument, load
from mini_engine.quant.pages import FORMATS
from mini_engine.serve.app import create_app
from mini_engine.speculative import NgramDraft

ADAPTER_HELP = "a LoRA adapter that peft saved, served under this model name; may stand several times"


def add_engine_arguments(parser):
    """The options that make_engine reads, the model aside."""
    parser.add_argument("--quant", choices=["int8", "int4"], help="weights in 8 or 4 bits")
    parser.add_argument("--device", default="cpu", help="cpu (default) or cuda")
    add_kernels_argument(parser)
    parser.add_argument("--dtype", choices=["float32", "bfloat16", "float16"], default="float32", help="of the numbers")
    parser.add_argument("--graphs", action="store_true", help="record decode steps as CUDA graphs, where there is CUDA")
    parser.add_argument("--num-blocks", type=int, default=1024, help="blocks of the KV pool (default 1024)")
    parser.add_argument("--kv-dtype", choices=FORMATS, help="KV cache in 8 or 4 bits, blocks of 32 with a scale each")
    parser.add_argument("--block-size", type=int, default=16, help="tokens per block (default 16)")
    parser.add_argument("--max-num-seqs", type=int, default=32, help="requests computed together (default 32)")
    parser.add_argument("--max-num-batched-tokens", type=int, default=512, help="token budget of a step (default 512)")
    parser.add_argument("--adapter", action="append", default=[], metavar="NAME=FOLDER", help=ADAPTER_HELP)
    parser.add_argument("--num-draft-tokens", type=int, default=0, help="n-gram speculation; 0, the default, is off")


def with_adapters(model, args):
    """The model with the adapters that --adapter names, on torch, as one line says. Raises ValueError for a bad one."""
    if args.graphs or args.kernels == "compiled":
        raise ValueError("--adapter needs torch's operators: no --graphs, no --kernels compiled")
    named = dict(each.partition("=")[::2] for each in args.adapter)
    if len(named) < len(args.adapter) or args.model in named or not all(map(all, named.items())):
        raise ValueError(f"--adapter takes NAME=FOLDER, each name once and not {args.model!r}; got {args.adapter}")
    adapters = {name: load_adapter(folder, model.config) for name, folder in named.items()}
    for name, each in adapters.items():
        print(f"adapter {name}: rank {each.rank}, {each.num_bytes:,} bytes; the model runs on torch, not compiled")
    return LoraModel(model, adapters)


def make_engine(args):
    """The engine that the options describe. Raises ValueError or ModelUnavailable, with one clear line."""
    device = choose_device(args.device).device
    dtype = getattr(torch, args.dtype)
    # graphs are recorded from torch's operators, and adapters are added to them
    compiled = False if args.graphs or args.adapter else KERNELS[args.kernels]
    model, tokenizer = load(args.model, args.quant, device, dtype, compiled)
    if args.adapter:
        model = with_adapters(model, args)
    model(torch.zeros(1, 1, dtype=torch.long, device=device))  # so that what has to be compiled is, before a request
    engine = Engine(
        model,
        tokenizer,
        num_blocks=args.num_blocks,
        block_size=args.block_size,
        kv_dtype=args.kv_dtype,
        max_num_seqs=args.max_num_seqs,
        max_num_batched_tokens=args.max_num_batched_tokens,
        graphs=args.graphs,
        draft=NgramDraft(args.num_draft_tokens) if args.num_draft_tokens else None,
    )
    if args.graphs and device.type == "cuda":  # elsewhere nothing is recorded
        with torch.inference_mode():
            engine.runner.graphs.record(args.max_num_seqs, engine.max_model_len)
    return engine


def bind(host, port):
    """A listening socket. Raises OSError with one line that names the address when it cannot be had."""
    sock = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        sock.bind((host, port))
        sock.listen()  # who connects before the server runs waits instead of being refused
    except (OSError, OverflowError) as error:
        sock.close()
        raise OSError(f"cannot listen on {host}:{port} ({error}): choose another --port") from None
    return sock


def add_arguments(parser):
    """Options of `python -m mini_engine serve`."""
    add_model_argument(parser)
    add_engine_arguments(parser)
    parser.add_argument("--host", default="127.0.0.1", help="address to listen on (default 127.0.0.1)")
    parser.add_argument("--port", type=int, default=8000, help="port to listen on (default 8000); 0 takes a free one")
    parser.add_argument("--max-requests", type=int, default=128, help="unfinished requests before 429 (default 128)")
    parser.add_argument("--grace-s", type=int, default=10, help="seconds to finish requests at the end (default 10)")
    parser.add_argument("--end-with-stdin", action="store_true", help="end when standard input is closed: whoever "
                        "holds its other end may be killed without a word")  # fmt: skip


def end_with_stdin():
    """From now on this process ends when standard input does. At once: whoever would hear the answers is gone."""

    def wait():
        while os.read(0, 1024):
            pass
        os._exit(1)

    threading.Thread(target=wait, daemon=True).start()


def run(args):
    """Serve until interrupted. Returns 0. Raises OSError, ValueError or ModelUnavailable when it cannot start."""
    if args.end_with_stdin:
        end_with_stdin()
    sock = bind(args.host, args.port)  # before the model is loaded: a taken port shows at once
    app = create_app(make_engine(args), args.model, args.max_requests)
    config = uvicorn.Config(app, log_level="warning", timeout_graceful_shutdown=args.grace_s)
    print(f"serving {args.model} at http://{args.host}:{sock.getsockname()[1]}/v1 (Ctrl+C stops)", flush=True)
    for number in (signal.SIGINT, signal.SIGTERM):  # uvicorn stops gracefully and then raises the signal again
        signal.signal(number, lambda *_: None)
    uvicorn.Server(config).run(sockets=[sock])
    return 0
