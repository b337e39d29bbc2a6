"""From command-line options to a model with its tokenizer, and to an engine."""

from mini_engine.model import Llama
from mini_engine.weights import load_smollm2, load_tiny, load_weights


class CharTokenizer:
    """The shipped 2-layer checkpoint's: token i is the character with code point i; others become "?"."""

    vocab_size = 512
    eos_token_id = None

    def encode(self, text):
        """One id per character."""
        return [ord(c) if ord(c) < self.vocab_size else ord("?") for c in text]

    def decode(self, ids):
        """One character per id."""
        return "".join(map(chr, ids))

    def apply_chat_template(self, messages):
        """`role: content` lines, and the assistant's turn opened."""
        return "".join(f"{m['role']}: {m['content']}\n" for m in messages) + "assistant:"


def load(name="smollm2", quant=None, dtype=None):
    """(model, tokenizer) for "smollm2", "tiny", or a path to a GGUF file or checkpoint folder.

    quant: None, "int8" or "int4" (linear weights). Raises ModelUnavailable or ValueError with one clear line.
    """
    if name == "tiny":
        (config, weights), tokenizer = load_tiny(), CharTokenizer()
    else:
        from mini_engine.tokenizer import load_smollm2_tokenizer

        config, weights = load_smollm2() if name == "smollm2" else load_weights(name)
        tokenizer = load_smollm2_tokenizer()
    model = Llama(config, weights, **({} if dtype is None else {"dtype": dtype}))
    if quant is not None:
        from mini_engine.quantize import quantize_model

        model = quantize_model(model, quant) or model
    return model, tokenizer


def make_engine(args):
    """The engine that the options of `serve` describe."""
    from mini_engine.engine import Engine
    from mini_engine.speculative import NgramDraft

    model, tokenizer = load(args.model, args.quant)
    return Engine(
        model,
        tokenizer,
        num_blocks=args.num_blocks,
        block_size=args.block_size,
        max_num_seqs=args.max_num_seqs,
        max_num_batched_tokens=args.max_num_batched_tokens,
        draft=NgramDraft(args.num_draft_tokens) if args.num_draft_tokens else None,
    )
