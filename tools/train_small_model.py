"""Train a small LLaMA in float32, so that 4-bit rounding can be judged on weights that never were on a 4-bit grid.

`python tools/train_small_model.py FOLDER` takes some minutes on two cores and writes a checkpoint in Hugging Face's
layout with two held-out texts. Then measure it with the command that it prints. The text is what every Python brings
along: its help topics and the docstrings of its standard library.
"""

import argparse
import ast
import math
import pydoc_data.topics
import sysconfig
from pathlib import Path

import torch
from tokenizers import ByteLevelBPETokenizer
from transformers import LlamaConfig, LlamaForCausalLM

VOCAB, TOKENS, BATCH = 1024, 128, 16  # size of the vocabulary; tokens of a row; rows of a step
SHAPE = {
    "hidden_size": 128,
    "intermediate_size": 384,
    "num_hidden_layers": 4,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "head_dim": 32,
    "max_position_embeddings": 1024,
    "tie_word_embeddings": True,
}


def docstrings(path):
    """The docstrings of one source file, one after the other."""
    nodes = ast.walk(ast.parse(path.read_text(encoding="utf-8", errors="replace")))
    kinds = (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)
    return "\n\n".join(filter(None, (ast.get_docstring(node) for node in nodes if isinstance(node, kinds))))


def read_texts():
    """(training text, held-out text, calibration text), cut by whole files so that no paragraph is in two of them."""
    files = sorted(Path(sysconfig.get_path("stdlib")).glob("*.py"))
    pieces = [text for _, text in sorted(pydoc_data.topics.topics.items())] + [docstrings(file) for file in files]
    parts = [[], [], []]
    for i, piece in enumerate(piece for piece in pieces if piece):
        parts[{0: 1, 5: 2}.get(i % 20, 0)].append(piece)
    return ["\n\n".join(part) for part in parts]


def train(model, ids, num_steps, seed=0):
    """AdamW with warm-up and cosine decay; prints the loss now and then."""
    generator = torch.Generator().manual_seed(seed)
    optimizer = torch.optim.AdamW(model.parameters(), lr=3e-3, betas=(0.9, 0.95), weight_decay=0.1)
    for step in range(num_steps):
        for group in optimizer.param_groups:
            group["lr"] = (
                3e-3 * min(1, (step + 1) / 50) * (0.05 + 0.95 * (1 + math.cos(math.pi * step / num_steps)) / 2)
            )
        places = torch.randint(len(ids) - TOKENS, (BATCH, 1), generator=generator) + torch.arange(TOKENS)
        loss = model(input_ids=ids[places], labels=ids[places]).loss
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        if (step + 1) % 100 == 0:
            print(f"step {step + 1} of {num_steps}: loss {loss.item():.3f}", flush=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--steps", type=int, default=1500)
    args = parser.parse_args()
    training, held_out, calibration = read_texts()
    args.folder.mkdir(parents=True, exist_ok=True)
    for name, text in (("held_out.txt", held_out), ("calibration.txt", calibration)):
        (args.folder / name).write_text(text, encoding="utf-8")
    tokenizer = ByteLevelBPETokenizer()
    tokenizer.train_from_iterator([training], VOCAB, special_tokens=["<|im_start|>", "<|im_end|>"])
    tokenizer.save(str(args.folder / "tokenizer.json"))
    ids = torch.tensor(tokenizer.encode(training).ids)
    torch.manual_seed(0)
    model = LlamaForCausalLM(LlamaConfig(vocab_size=VOCAB, **SHAPE))
    print(f"{model.num_parameters():,} parameters, {len(ids):,} tokens of {len(training):,} characters")
    train(model, ids, args.steps)
    model.save_pretrained(args.folder)
    print(f"{args.steps * TOKENS * BATCH / len(ids):.1f} times through the text. Now:")
    print(f"python -m mini_engine quality --model {args.folder} --text {args.folder}/held_out.txt", end=" ")
    print(f"--calibration {args.folder}/calibration.txt --output mini_engine/data/quality_float.json")


if __name__ == "__main__":
    main()
