"""Draw hot samples of SmolLM2-135M under fifty schemas and judge each by jsonschema, for chapter 15.

    python tools/record_samples.py [--samples 200]

adds to book/data/samples.json until every schema has so many samples at temperature 2: 20 under each at a time, all in
one engine, 200 together, each request with its own grammar. It can be cut short and goes on where it was. Float32 on
torch, which is faster than the compiled kernels when so many decode together; about twenty minutes of one core.
"""

import argparse
import json
from pathlib import Path

from record_structured import is_valid
from schemas import SCHEMAS

from mini_engine.bench.machine import machine
from mini_engine.bench.timing import write_json
from mini_engine.engine import Engine
from mini_engine.grammar.constraint import Grammar
from mini_engine.loading import load
from mini_engine.sequence import SamplingParams

TARGET = Path(__file__).resolve().parents[1] / "book" / "data" / "samples.json"
TEMPERATURE, MAX_TOKENS, TOGETHER, AT_A_TIME = 2.0, 256, 200, 20


def judged(schema, sequences):
    """What became of samples under a schema: counts, an example, and the invalid texts themselves."""
    texts = [seq.text for seq in sequences if seq.finish_reason == "stop"]
    return {
        "samples": len(sequences),
        "ended": len(texts),
        "invalid": [text for text in texts if not is_valid(text, schema)],
        "num_tokens": sum(seq.num_output_tokens for seq in sequences),
        "examples": texts[:1],
    }


def draw(engine, tokenizer, grammars, rows, seeds):
    """Adds the samples with these seeds to the row of every schema that is in `grammars`."""
    prompts, params = [], []
    for name in grammars:
        question = "Write some JSON that fits this schema: " + json.dumps(SCHEMAS[name], ensure_ascii=False)
        prompts += [tokenizer.apply_chat_template([{"role": "user", "content": question}])] * len(seeds)
        for seed in seeds:
            params.append(SamplingParams(TEMPERATURE, seed=seed, max_tokens=MAX_TOKENS, grammar=grammars[name]))
    sequences = engine.generate(prompts, params)
    for i, name in enumerate(grammars):
        new = judged(SCHEMAS[name], sequences[i * len(seeds) : (i + 1) * len(seeds)])
        rows[name] |= {key: rows[name].get(key, type(value)()) + value for key, value in new.items()}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--samples", type=int, default=200, help="of each schema in the end (default 200)")
    args = parser.parse_args()
    model, tokenizer = load("smollm2", compiled=False)
    engine = Engine(model, tokenizer, num_blocks=4096, max_num_seqs=TOGETHER)
    grammars = {name: Grammar.from_schema(schema, tokenizer) for name, schema in SCHEMAS.items()}
    kept = json.loads(TARGET.read_text(encoding="utf-8"))["schemas"] if TARGET.exists() else {}
    same = {name: {"schema": schema} for name, schema in SCHEMAS.items()}
    rows = kept if {name: {"schema": row["schema"]} for name, row in kept.items()} == same else same
    while (done := next(iter(rows.values())).get("samples", 0)) < args.samples:
        draw(engine, tokenizer, grammars, rows, range(done, min(done + AT_A_TIME, args.samples)))
        data = {"command": "python tools/record_samples.py", "machine": machine(), "temperature": TEMPERATURE,
                "max_tokens": MAX_TOKENS, "schemas": rows}  # fmt: skip
        write_json(TARGET, data)
        total = {key: sum(row[key] for row in rows.values()) for key in ("samples", "ended", "num_tokens")}
        print(total, "invalid:", [row["invalid"] for row in rows.values() if row["invalid"]], flush=True)


if __name__ == "__main__":
    main()
