"""Measure structured output with SmolLM2-135M on this machine, for chapter 15.

    python tools/record_structured.py [--samples 24]

writes book/data/structured.json: how many hot samples under each schema end and are valid by jsonschema, how many are
without a mask, what a mask costs beside a step, and what forced text saves. Float32, a few minutes.
"""

import argparse
import json
import time
from pathlib import Path

import jsonschema
import numpy as np
from schemas import SHOWN as SCHEMAS
from schemas import closed

from mini_engine.bench.machine import machine
from mini_engine.bench.timing import write_json
from mini_engine.engine import Engine
from mini_engine.grammar.constraint import Grammar, JumpForward
from mini_engine.loading import load
from mini_engine.sequence import SamplingParams

TARGET = Path(__file__).resolve().parents[1] / "book" / "data" / "structured.json"
MAX_TOKENS = 120
PROMPTS = {
    "person": "Ada Lovelace, the mathematician, is 36 years old. Write this as JSON with name and age.",
    "call": "What is the weather in Rome, in Celsius? Answer with JSON: tool, city and unit.",
}


WALKED = closed(name={"type": "string"}, age={"type": "integer", "minimum": 0, "maximum": 120},
                tags={"type": "array", "items": {"enum": ["math", "music"]}})  # fmt: skip
WALKED_TEXT = '{"name": "Ada", "age": 36, "tags": ["math"]}'


def is_valid(text, schema):
    """Whether a text is JSON that the schema accepts."""
    try:
        jsonschema.validate(json.loads(text), schema)
    except (ValueError, jsonschema.ValidationError):
        return False
    return True


def chat(tokenizer, name):
    """The prompt of a schema as a conversation."""
    question = PROMPTS.get(name, "Write some JSON that fits this schema: " + json.dumps(SCHEMAS[name]))
    return tokenizer.apply_chat_template([{"role": "user", "content": question}])


def sample(engine, tokenizer, name, num, temperature, grammar):
    """num samples at a temperature: (sequences, how many ended, how many of these are valid)."""
    params = [SamplingParams(temperature, seed=i, max_tokens=MAX_TOKENS, grammar=grammar) for i in range(num)]
    sequences = engine.generate([chat(tokenizer, name)] * num, params)
    ended = [seq for seq in sequences if seq.finish_reason == "stop"]
    return sequences, len(ended), sum(is_valid(seq.text, SCHEMAS[name]) for seq in ended)


def mask_costs(grammar, token_ids):
    """Microseconds of each mask along a text: walked for the first time, and found again."""
    costs = []
    for _ in range(2):
        state, times = grammar.start, []
        for token_id in token_ids:
            start = time.perf_counter()
            grammar.mask(state)
            times.append(1e6 * (time.perf_counter() - start))
            state = grammar.advance(state, token_id)
        costs.append(times)
    return costs


def walk(tokenizer):
    """Along one text: each token, how many tokens were allowed in its place, some of them, and what was forced."""
    grammar, steps = Grammar.from_schema(WALKED, tokenizer), []
    state = grammar.start
    for token_id in [*tokenizer.encode(WALKED_TEXT), tokenizer.eos_token_id]:
        (allowed,) = grammar.mask(state).nonzero()
        some = [tokenizer.decode([i]) for i in sorted(allowed, key=lambda i: (i != token_id, i))[:12]]
        forced = grammar.automaton.forced_bytes(state).decode(errors="replace")
        token = tokenizer.decode([token_id])
        steps.append({"token": token, "num_allowed": len(allowed), "some": some, "forced": forced})
        state = grammar.advance(state, token_id)
    return {"text": WALKED_TEXT, "num_nodes": grammar.vocabulary.num_nodes, "vocab": grammar.vocabulary.size,
            "steps": steps}  # fmt: skip


def passes(model, tokenizer, name, grammar, draft):
    """Greedy under the grammar: (text, tokens, passes of the model behind the prompt's, seconds)."""
    engine = Engine(model, tokenizer, draft=draft)
    start = time.perf_counter()
    (seq,) = engine.generate([chat(tokenizer, name)], SamplingParams(max_tokens=MAX_TOKENS, grammar=grammar))
    return seq.text, seq.num_output_tokens, engine.stats.num_steps - 1, time.perf_counter() - start


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--samples", type=int, default=24, help="per schema (default 24)")
    args = parser.parse_args()
    model, tokenizer = load("smollm2")
    engine = Engine(model, tokenizer, num_blocks=1024)
    data = {"machine": machine(), "samples": args.samples, "temperature": 2.0, "max_tokens": MAX_TOKENS,
            "walk": walk(tokenizer), "schemas": {}}  # fmt: skip
    for name, schema in SCHEMAS.items():
        grammar = Grammar.from_schema(schema, tokenizer)
        sequences, ended, valid = sample(engine, tokenizer, name, args.samples, 2.0, grammar)
        longest = max(sequences, key=lambda seq: seq.num_output_tokens)
        fresh = Grammar.from_schema(schema, tokenizer)
        first, again = mask_costs(fresh, longest.output_token_ids)
        data["schemas"][name] = {
            "ended": ended, "valid": valid, "num_tokens": sum(seq.num_output_tokens for seq in sequences),
            "example": sequences[0].text, "first_us": float(np.mean(first)), "again_us": float(np.median(again)),
            "worst_us": float(max(first)),
        }  # fmt: skip
        print(name, data["schemas"][name], flush=True)
    free = {}
    for name in PROMPTS:
        _, ended, valid = sample(engine, tokenizer, name, args.samples, 0.7, None)
        free[name] = {"ended": ended, "valid": valid}
    data["free"] = {"temperature": 0.7, "prompts": free}
    data["jump"], step_ms = {}, []
    for name in PROMPTS:
        grammar = Grammar.from_schema(SCHEMAS[name], tokenizer)
        plain, jumped = (
            passes(model, tokenizer, name, grammar, draft) for draft in (None, JumpForward(tokenizer))
        )  # fmt: skip
        step_ms.append(1e3 * plain[3] / (plain[2] + 1))
        data["jump"][name] = {"text": plain[0], "same_text": plain[0] == jumped[0], "num_tokens": plain[1],
                              "plain": plain[2], "jumped": jumped[2]}  # fmt: skip
    data["step_ms"] = float(np.median(step_ms))
    write_json(TARGET, data)
    print(data["free"], data["jump"], data["step_ms"])


if __name__ == "__main__":
    main()
