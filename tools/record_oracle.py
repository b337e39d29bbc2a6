"""Record what transformers computes with SmolLM2-135M, for checks where transformers or the model file is too heavy.

    python tools/record_oracle.py

writes mini_engine/data/smollm2_expected.json: for a few texts the ids, the largest logits after the last token, and 32
greedy tokens; transformers in float32 on a CPU, the weights dequantized from the model file.
"""

import datetime
import json
import sys
from pathlib import Path

import torch

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests"))
from oracle import expected_greedy, expected_logits, transformers_llama

from mini_engine.files.fetch import GGUF_SHA256
from mini_engine.tokenizer import load_smollm2_tokenizer
from mini_engine.weights import SMOLLM2_EXPECTED, load_smollm2

TEXTS = ("The capital of France is", "Once upon a time, there was a little", "def fibonacci(n):\n    if n")
NUM_TOP, NUM_GREEDY = 20, 32


def main():
    """Write the file."""
    llama, tokenizer = transformers_llama(*load_smollm2()), load_smollm2_tokenizer()
    cases = []
    for text in TEXTS:
        ids = tokenizer.encode(text)
        top = torch.as_tensor(expected_logits(llama, ids))[-1].topk(NUM_TOP)
        greedy = [int(token) for token in expected_greedy(llama, ids, NUM_GREEDY)]
        logits = [round(float(value), 4) for value in top.values]
        cases.append(
            {"text": text, "ids": ids, "top_ids": top.indices.tolist(), "top_logits": logits, "greedy": greedy}
        )
    record = {"date": datetime.date.today().isoformat(), "gguf_sha256": GGUF_SHA256, "cases": cases}
    SMOLLM2_EXPECTED.write_text(json.dumps(record) + "\n")


if __name__ == "__main__":
    main()
