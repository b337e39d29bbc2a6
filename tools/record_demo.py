"""Record what the front page plays: the real model answering a question, token by token.

    python tools/record_demo.py

writes book/data/demo.json: the pieces of text, and the bytes that each step reads: every weight once, and the keys and
values of all tokens so far (mini_engine.accounting). Greedy, float32; no time is recorded.
"""

from pathlib import Path

from mini_engine.accounting import kv_bytes_per_token, weight_bytes
from mini_engine.bench.timing import write_json
from mini_engine.files.fetch import GGUF_SHA256
from mini_engine.generate import generate
from mini_engine.loading import load

TARGET = Path(__file__).resolve().parents[1] / "book" / "data" / "demo.json"
QUESTION = "In one sentence, what is a language model?"
MAX_TOKENS = 64
FLOAT32_BYTES = 4


def main():
    model, tokenizer = load()
    prompt = tokenizer.apply_chat_template([{"role": "user", "content": QUESTION}])
    per_token = kv_bytes_per_token(model.config, FLOAT32_BYTES)
    text, steps = tokenizer.stream(), []
    for i, token in enumerate(generate(model, prompt, MAX_TOKENS, tokenizer.eos_token_id)):
        # step i makes a token from len(prompt) + i tokens, whose keys and values it reads
        steps.append({"text": text.feed(token), "kv_bytes": per_token * (len(prompt) + i)})
    results = {
        "command": "python tools/record_demo.py",
        "model": {"name": "SmolLM2-135M-Instruct", "dtype": "float32", "gguf_sha256": GGUF_SHA256},
        "question": QUESTION,
        "num_prompt_tokens": len(prompt),
        "weight_bytes": weight_bytes(model.config, FLOAT32_BYTES),
        "steps": steps,
    }
    write_json(TARGET, results)
    print("".join(step["text"] for step in steps))


if __name__ == "__main__":
    main()
