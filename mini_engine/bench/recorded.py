"""What a page of the book measures on the real model, and the recorded run that it shows where the model is missing."""

import json
import os
from pathlib import Path

from mini_engine.bench.machine import machine
from mini_engine.weights import smollm2_is_cached

PAGES = Path(__file__).parents[1] / "data" / "pages.json"
RECORD = "RECORD_PAGES"  # set it while the book is built, and every measurement is written to the file


def measured(name, measure, path=PAGES):
    """(result, note): what measure() returns, or the recorded result where SmolLM2-135M is not on this machine.

    measure: a function of no arguments whose result JSON can hold. note: a sentence that
    says where and when. Raises KeyError where neither the model nor a recording is there.
    """
    path = Path(path)
    recorded = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
    if not smollm2_is_cached():
        entry = recorded[name]
        return entry["result"], f"Recorded {_where(entry)}; the model was not on the machine that built this page."
    entry = {"machine": machine(), "result": json.loads(json.dumps(measure()))}
    if os.environ.get(RECORD):
        path.write_text(json.dumps(recorded | {name: entry}, indent=1) + "\n", encoding="utf-8")
    return entry["result"], f"Measured {_where(entry)}, when this page was built."


def _where(entry):
    where = entry["machine"]
    return f"{where['date']} on {where['name']}, {where['num_threads']} threads, torch {where['torch']}"
