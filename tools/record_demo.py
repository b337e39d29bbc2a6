"""Record what the front page plays: the real model answering a question, token by token.

    python tools/record_demo.py

writes book/data/demo.json: the pieces of text, the milliseconds of each step, and the bytes that a step reads: every
weight once, and the keys and values of all tokens so far (mini_engine.accounting). Greedy, float32, on this CPU.
"""

import statistics
import time
from pathlib import Path

from mini_engine.accounting import kv_bytes_per_token, weight_bytes
from mini_engine.bench import machine, write_json
from mini_engine.fetch import GGUF_SHA256
from mini_engine.generate import generate, load

TARGET = Path(__file__).resolve().parents[1] / "book" / "data" / "demo.json"
QUESTION = "In one sentence, what is a language model?"
MAX_TOKENS = 64
FLOAT32_BYTES = 4
RUNS = 5


def timed_steps(model, prompt, eos):
    """[(token, milliseconds)] of one greedy answer; the first includes the prompt."""
    steps, before = [], time.perf_counter()
    for token in generate(model, prompt, MAX_TOKENS, eos):
        now = time.perf_counter()
        steps.append((token, 1e3 * (now - before)))
        before = now
    return steps


def main():
    model, tokenizer = load()
    prompt = tokenizer.apply_chat_template([{"role": "user", "content": QUESTION}])
    runs = [timed_steps(model, prompt, tokenizer.eos_token_id) for _ in range(RUNS + 1)][1:]  # the first warms up
    weights = weight_bytes(model.config, FLOAT32_BYTES)
    per_token = kv_bytes_per_token(model.config, FLOAT32_BYTES)
    text, steps = tokenizer.stream(), []
    for i, row in enumerate(zip(*runs, strict=True)):
        # the token that step i makes follows len(prompt) + i tokens, whose keys and values it reads
        milliseconds = round(statistics.median(ms for _, ms in row), 2)
        steps.append({"text": text.feed(row[0][0]), "ms": milliseconds, "kv_bytes": per_token * (len(prompt) + i)})
    results = {
        "command": "python tools/record_demo.py",
        "machine": machine(),
        "model": {"name": "SmolLM2-135M-Instruct", "dtype": "float32", "gguf_sha256": GGUF_SHA256},
        "question": QUESTION,
        "num_prompt_tokens": len(prompt),
        "weight_bytes": weights,
        "runs": RUNS,
        "steps": steps,
    }
    write_json(TARGET, results)
    print("".join(step["text"] for step in steps), statistics.median(step["ms"] for step in steps[1:]), "ms a token")


if __name__ == "__main__":
    main()
