"""The one front door: from a model's name or path to a model with its tokenizer."""

import sys

import torch

from mini_engine.model import Llama
from mini_engine.quant.modules import quantize_model
from mini_engine.tokenizer import load_smollm2_tokenizer, load_tokenizer
from mini_engine.weights import load_smollm2, load_tiny, load_weights

# which kernels a CPU runs: what load takes as `compiled`
KERNELS = {"auto": None, "compiled": True, "torch": False}


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


def load_parts(name="smollm2"):
    """(config, weights, tokenizer) for "smollm2", "tiny" (the shipped 2-layer checkpoint), or the path of a model.

    A path is a folder in Hugging Face's layout or a GGUF file. Raises ValueError, OSError or ModelUnavailable, with
    one clear line.
    """
    if name == "tiny":
        return *load_tiny(), CharTokenizer()
    if name == "smollm2":
        return *load_smollm2(), load_smollm2_tokenizer()
    return *load_weights(name), load_tokenizer(name)


def load(name="smollm2", quant=None, device=None, dtype=torch.float32, compiled=None):
    """(model, tokenizer) for a name or path as in load_parts.

    quant: None, or a scheme of quantize_model such as "int8" and "int4". compiled: None takes the compiled kernels on a
    CPU in float32, where they are known to pay, and else torch in float32, which one line says; True insists on them,
    False never takes them. Raises as load_parts, and ValueError where they are insisted on and cannot be had.
    """
    config, weights, tokenizer = load_parts(name)
    fits = torch.device(device or "cpu").type == "cpu" and dtype == torch.float32 and quant != "w8a8"
    if compiled and not fits:
        raise ValueError("the compiled kernels are for a CPU, in float32")
    if fits and compiled is not False:
        model = try_to_compile(config, weights, quant, insist=bool(compiled))
        if model is not None:
            return model, tokenizer
        quant = None
    model = Llama(config, weights, dtype, device)
    return model if quant is None else quantize_model(model, quant), tokenizer


def try_to_compile(config, weights, quant, insist):
    """As compile_llama; also None after one line where Numba cannot be imported, unless it is insisted on."""
    try:
        from mini_engine.cpu.choice import compile_llama
    except ImportError as error:
        if insist:
            raise ValueError(f"the compiled kernels need Numba: {error}") from None
        print(f"torch in float32 is used: the compiled kernels need Numba ({error})", file=sys.stderr)
        return None
    return compile_llama(config, weights, quant, insist)


def add_model_argument(parser):
    """The option --model, the same for every command that loads one."""
    parser.add_argument("--model", default="smollm2", help="smollm2 (default), tiny, or a GGUF file or folder")


def add_kernels_argument(parser):
    """The option --kernels; KERNELS[args.kernels] is load's `compiled`."""
    parser.add_argument("--kernels", choices=list(KERNELS), default="auto", help="on a CPU (default auto)")
