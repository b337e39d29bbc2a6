"""`python -m mini_engine capacity`: does a model fit, and how many requests fit beside it?"""

import argparse
import math
import sys
from dataclasses import replace

from mini_engine.accounting import capacity_table, kv_bytes_per_token, kv_heads_per_gpu, weight_bytes
from mini_engine.config import MODELS, ModelConfig
from mini_engine.quant.arrays import KV_BYTES

# flag, ModelConfig field, help; without --model all but the last two must be given
SHAPE = [
    ("layers", "num_hidden_layers", "decoder layers"),
    ("heads", "num_attention_heads", "query heads"),
    ("kv-heads", "num_key_value_heads", "KV heads"),
    ("hidden", "hidden_size", "model size d"),
    ("inner", "intermediate_size", "MLP size"),
    ("vocab", "vocab_size", "vocabulary"),
    ("head-dim", "head_dim", "head size; without it hidden / heads"),
]


def add_arguments(parser):
    """Add the flags; every number of a named model can be overridden by its own flag."""
    parser.add_argument("--model", help=f"a named model: {', '.join(MODELS)}")
    for flag, field, help_text in SHAPE:
        parser.add_argument(f"--{flag}", dest=field, type=int, help=help_text)
    parser.add_argument("--tied", action="store_true", help="the LM head is the embedding (one matrix, not two)")
    memory = parser.add_mutually_exclusive_group()
    memory.add_argument("--gpu-gb", type=float, help="memory of one GPU in GB of 1e9 bytes (default 80)")
    memory.add_argument("--gpu-gib", type=float, help="memory of one GPU in GiB of 2**30 bytes")
    parser.add_argument("--memory-fraction", type=float, default=1.0, help="share of it that may be used (default 1)")
    parser.add_argument("--context", type=int, default=8192, help="tokens of one request (default 8192)")
    parser.add_argument("--tp", type=int, default=1, help="tensor parallel GPUs (default 1)")
    parser.add_argument("--weight-bytes", type=float, default=2.0, help="bytes per weight (default 2: bf16)")
    help_text = f"bytes per number in the KV cache (default 2), or {' or '.join(KV_BYTES)}"
    parser.add_argument("--kv-bytes", type=kv_bytes, default=2.0, help=help_text)
    parser.add_argument("--replicate-kv", action="store_true", help="copy KV heads where --tp exceeds their number")
    # a mistyped number gets the same single line as a number that makes no sense
    parser.error = lambda message: parser.exit(2, f"capacity: {message}\n")


def kv_bytes(text):
    """The number that --kv-bytes gives, or that of a format's name."""
    return KV_BYTES[text] if text in KV_BYTES else float(text)


def model_of(args):
    """The ModelConfig the flags ask for; raises ValueError for an unknown name, a missing flag or a bad shape."""
    given = {field: getattr(args, field) for _, field, _ in SHAPE if getattr(args, field) is not None}
    if args.model is not None:
        if args.model not in MODELS:
            raise ValueError(f"unknown model {args.model}; known: {', '.join(MODELS)}")
        config = replace(MODELS[args.model], **given)
        return replace(config, tie_word_embeddings=True) if args.tied else config
    missing = [f"--{flag}" for flag, field, _ in SHAPE if field not in given and flag != "head-dim"]
    if missing:
        raise ValueError(f"give --model, or also {' '.join(missing)}")
    if "head_dim" not in given:
        hidden, heads = given["hidden_size"], given["num_attention_heads"]
        if heads < 1 or hidden % heads:
            raise ValueError(f"--hidden {hidden} is not a multiple of --heads {heads}; give --head-dim")
        given["head_dim"] = hidden // heads
    return ModelConfig(name="custom", **given, tie_word_embeddings=args.tied)


def gpu_bytes_of(args):
    """Usable bytes of one GPU; raises ValueError where they make no sense."""
    gpu_bytes = args.gpu_gib * 2**30 if args.gpu_gib is not None else 1e9 * (80 if args.gpu_gb is None else args.gpu_gb)
    if not 0 < gpu_bytes < math.inf:
        raise ValueError(f"GPU memory must be positive and finite, got {gpu_bytes / 1e9} GB")
    if not 0 < args.memory_fraction <= 1:
        raise ValueError(f"--memory-fraction must be above 0 and at most 1, got {args.memory_fraction}")
    if not 0 < args.weight_bytes < math.inf or not 0 < args.kv_bytes < math.inf:
        raise ValueError(f"bytes per number must be positive, got {args.weight_bytes} and {args.kv_bytes}")
    return gpu_bytes * args.memory_fraction


def report(config, gpu_bytes, args):
    """The lines to print: the shape, the machine, the four rows, and what limits the batch."""
    table = capacity_table(
        config, gpu_bytes, args.context, args.weight_bytes, args.kv_bytes, args.tp, args.replicate_kv
    )
    weights_gib = weight_bytes(config, args.weight_bytes) / 2**30
    kv_gib = table["kv_per_request_gb"] * 1e9 / 2**30
    lines = [
        f"model             {config.name}: {config.num_hidden_layers} layers, {config.num_attention_heads} heads, "
        f"{config.num_key_value_heads} KV heads of {config.head_dim}, hidden {config.hidden_size}, "
        f"inner {config.intermediate_size}, vocab {config.vocab_size}",
        f"machine           {args.tp} x {gpu_bytes / 1e9:.2f} GB ({gpu_bytes / 2**30:.2f} GiB) usable",
        "",
        f"parameters        {table['parameters']:,}",
        f"parameter memory  {table['parameter_memory_gb']:.2f} GB ({weights_gib:.2f} GiB)",
        f"KV per request    {table['kv_per_request_gb']:.3f} GB ({kv_gib:.3f} GiB) at {args.context} tokens, "
        f"{kv_bytes_per_token(config, args.kv_bytes)} bytes per token",
        f"max batch         {table['max_batch']}",
    ]
    if table["message"]:
        lines.append(f"why               {table['message']}")
    if args.tp > config.num_key_value_heads:
        copies = args.tp * kv_heads_per_gpu(config, args.tp, True) // config.num_key_value_heads
        lines.append(f"note              each KV head is kept {copies} times; KV per request counts all copies")
    if config.name != "custom" and args.context > config.max_position_embeddings:
        lines.append(f"note              {config.name} was made for {config.max_position_embeddings} tokens of context")
    return lines


def run(args):
    """Print the plan and return 0, or one line that says what makes no sense and return 2."""
    try:
        config = model_of(args)
        lines = report(config, gpu_bytes_of(args), args)
    except (ValueError, OverflowError) as error:
        print(f"capacity: {error}", file=sys.stderr)
        return 2
    print("\n".join(lines))
    return 0


def main(argv=None):
    """`python -m mini_engine.commands.capacity`: the same command without the others."""
    parser = argparse.ArgumentParser(prog="capacity", description=__doc__)
    add_arguments(parser)
    return run(parser.parse_args(argv))


if __name__ == "__main__":
    raise SystemExit(main())
