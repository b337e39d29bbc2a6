"""From command-line options to a model with its tokenizer, and to an engine."""

import torch

from mini_engine import generate
from mini_engine.device import choose_device
from mini_engine.engine import Engine
from mini_engine.model import Llama
from mini_engine.speculative import NgramDraft
from mini_engine.weights import load_tiny


class CharTokenizer:
    """For the shipped 2-layer checkpoint: token i is the character with code point i; others become "?"."""

    vocab_size = 512
    eos_token_id = None

    def encode(self, text):
        """One id per character."""
        return [ord(c) if ord(c) < self.vocab_size else ord("?") for c in text]

    def decode(self, token_ids):
        """One character per id."""
        return "".join(map(chr, token_ids))

    def apply_chat_template(self, messages):
        """Ids of `role: content` lines, with the assistant's turn opened."""
        return self.encode("".join(f"{m['role']}: {m['content']}\n" for m in messages) + "assistant:")

    def stream(self):
        """A decoder for one sequence: every character is complete at once."""
        return self

    def feed(self, token_id):
        """The text of one token."""
        return chr(token_id)

    def finish(self):
        """Nothing is ever held back."""
        return ""


def load(name="smollm2", quant=None, **options):
    """(model, tokenizer) for "smollm2", "tiny" (the shipped 2-layer checkpoint), or the path of a model.

    quant: None, or a scheme of quantize_model such as "int8" and "int4". options: dtype, device. Raises ValueError or
    ModelUnavailable, with one clear line.
    """
    if name == "tiny":
        model, tokenizer = Llama(*load_tiny(), **options), CharTokenizer()
    else:
        model, tokenizer = generate.load(None if name == "smollm2" else name, **options)
    if quant is not None:
        from mini_engine.quant.modules import quantize_model

        quantize_model(model, quant)
    return model, tokenizer


def add_engine_arguments(parser):
    """The options that make_engine reads."""
    parser.add_argument("--model", default="smollm2", help="smollm2 (default), tiny, or a GGUF file or folder")
    parser.add_argument("--quant", choices=["int8", "int4"], help="weights in 8 or 4 bits")
    parser.add_argument("--device", default="cpu", help="cpu (default) or cuda")
    parser.add_argument("--dtype", choices=["float32", "bfloat16", "float16"], default="float32", help="of the numbers")
    parser.add_argument("--graphs", action="store_true", help="record decode steps as CUDA graphs, where there is CUDA")
    parser.add_argument("--num-blocks", type=int, default=1024, help="blocks of the KV pool (default 1024)")
    parser.add_argument("--block-size", type=int, default=16, help="tokens per block (default 16)")
    parser.add_argument("--max-num-seqs", type=int, default=32, help="requests computed together (default 32)")
    parser.add_argument("--max-num-batched-tokens", type=int, default=512, help="token budget of a step (default 512)")
    parser.add_argument("--num-draft-tokens", type=int, default=0, help="n-gram speculation; 0, the default, is off")


def make_engine(args):
    """The engine that the options describe. Raises ValueError or ModelUnavailable, with one clear line."""
    device = choose_device(args.device).device
    model, tokenizer = load(args.model, args.quant, device=device, dtype=getattr(torch, args.dtype))
    return Engine(
        model,
        tokenizer,
        num_blocks=args.num_blocks,
        block_size=args.block_size,
        max_num_seqs=args.max_num_seqs,
        max_num_batched_tokens=args.max_num_batched_tokens,
        graphs=args.graphs,
        draft=NgramDraft(args.num_draft_tokens) if args.num_draft_tokens else None,
    )
