"""Record one request to SmolLM2-135M and what its cache saves, for chapters 1 and 3. Run it on an idle machine.

    python tools/record_request.py [--contexts 16 64 256 512 1024]

writes book/data/one_request.json (the tokens of a chat request, the likeliest three at each step, the times at which
they came) and book/data/cache_time.json (seconds for one more token, with and without a cache, by context).
"""

import argparse
import json
import time
from pathlib import Path

import torch

from mini_engine.bench.machine import machine
from mini_engine.bench.timing import interleaved
from mini_engine.model import Llama
from mini_engine.tokenizer import load_smollm2_tokenizer
from mini_engine.weights import load_smollm2

DATA = Path(__file__).resolve().parents[1] / "book" / "data"
QUESTION = "What is the capital of France?"
EMOJI = "🙂"  # four bytes, two tokens
ROUNDS = 5
CONTEXTS = (16, 64, 256)


@torch.inference_mode()
def one_request(model, prompt_ids, eos_token_id, max_new_tokens=32):
    """Serve one request greedily: [(logits [V], seconds since its arrival)] for each token, the stop token included."""
    start = time.perf_counter()
    cache, new, steps = model.new_cache(len(prompt_ids) + max_new_tokens), prompt_ids, []
    for _ in range(max_new_tokens):
        logits = model.lm_head(model.hidden_states(torch.tensor([new]), cache)[:, -1])[0]
        new = [int(logits.argmax())]
        steps.append((logits, time.perf_counter() - start))
        if new[0] == eos_token_id:
            break
    return steps


def request_record(model, tokenizer):
    """The request as the chapter shows it; each time is the median of ROUNDS runs."""
    ids = tokenizer.apply_chat_template([{"role": "user", "content": QUESTION}])
    runs = [one_request(model, ids, tokenizer.eos_token_id) for _ in range(ROUNDS + 1)][1:]
    steps = []
    for i, (logits, _) in enumerate(runs[0]):
        top = torch.softmax(logits.double(), -1).topk(3)
        likeliest = [[tokenizer.decode([int(k)]), round(float(p), 4)] for p, k in zip(*top, strict=True)]
        seconds = sorted(run[i][1] for run in runs)[ROUNDS // 2]
        steps.append({"id": int(top.indices[0]), "top": likeliest, "seconds": round(seconds, 5)})
    split = [tokenizer.token_bytes(i).hex() for i in tokenizer.encode(EMOJI)]
    prompt = {"question": QUESTION, "ids": ids, "pieces": [tokenizer.decode([i]) for i in ids]}
    return {
        "prompt": prompt,
        "emoji": {"text": EMOJI, "token_bytes": split},
        "eos_token_id": tokenizer.eos_token_id,
        "steps": steps,
    }


@torch.inference_mode()
def cache_time(model, context):
    """Median seconds of the pass that gives one more token after `context` cached ones, with and without the cache."""
    ids = torch.randint(model.config.vocab_size, (1, context + 1), generator=torch.Generator().manual_seed(context))
    cache = model.new_cache(context + 1)
    model.hidden_states(ids[:, :-1], cache)

    def cached():
        model.lm_head(model.hidden_states(ids[:, -1:], cache)[:, -1])
        cache.truncate(context)

    runs = interleaved(
        {"with": cached, "without": lambda: model.lm_head(model.hidden_states(ids)[:, -1])}, num_rounds=ROUNDS
    )
    return {"context": context} | {name: round(sorted(times)[ROUNDS // 2], 5) for name, times in runs.items()}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--contexts", type=int, nargs="+", default=CONTEXTS, help="tokens already cached")
    contexts = parser.parse_args().contexts
    model, tokenizer = Llama(*load_smollm2()), load_smollm2_tokenizer()
    stamp = {"command": "python tools/record_request.py", "model": "SmolLM2-135M-Instruct, float32"}
    stamp["machine"] = {key: value for key, value in machine().items() if value is not None}
    stamp["median_of"] = ROUNDS
    for name, record in (
        ("one_request", request_record(model, tokenizer)),
        ("cache_time", {"rows": [cache_time(model, context) for context in contexts]}),
    ):
        (DATA / f"{name}.json").write_text(json.dumps(stamp | record, ensure_ascii=False, indent=1) + "\n")


if __name__ == "__main__":
    main()
