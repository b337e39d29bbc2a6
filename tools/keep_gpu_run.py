"""Check a run of `bench gpu` and keep it as book/data/gpu_run.json: only a whole, real one, made on a GPU.

python tools/keep_gpu_run.py FOLDER/gpu_run.json
"""

import json
import sys
from pathlib import Path

TARGET = Path(__file__).resolve().parents[1] / "book" / "data" / "gpu_run.json"
PARTS = ("check", "road", "stack", "quantized", "batch_sweep", "verification", "int8_kv", "serving", "transformers")


def problems(run):
    """What speaks against showing this run in the book: a list of lines, empty when nothing does."""
    found = []
    machine = run.get("machine", {})
    if machine.get("device") != "cuda":
        found.append(f"it was made on {machine.get('device')}, not on a GPU")
    for key in ("name", "driver", "torch", "date"):
        if not machine.get(key):
            found.append(f"it does not say its {key}")
    if run.get("quick"):
        found.append("it was made with --quick, whose sizes say nothing")
    for part in PARTS:
        if part not in run:
            found.append(f"part {part} was not run")
        elif "missing" in run[part]:
            found.append(f"part {part} is missing: {run[part]['missing']}")
    if "rows" in run.get("road", {}).get("float32", {}):
        for row in run["road"]["float32"]["rows"]:
            if not row["same_text"]:
                found.append(f"{row['how']} wrote another text in float32")
            if not 0 < row["measured_s"]["min"] <= row["measured_s"]["median"] <= row["measured_s"]["max"]:
                found.append(f"the times of {row['how']} are not in order")
    return found


def main(argv=None):
    """Copy the run, or say on stderr why not and return 1. --force keeps one whose parts are incomplete."""
    arguments = sys.argv[1:] if argv is None else argv
    run = json.loads(Path(arguments[0]).read_text(encoding="utf-8"))
    found = problems(run)
    for line in found:
        print(f"{arguments[0]}: {line}", file=sys.stderr)
    fatal = [line for line in found if not line.startswith("part ")]
    if fatal or (found and "--force" not in arguments):
        return 1
    TARGET.write_text(json.dumps(run, indent=1) + "\n", encoding="utf-8")
    print(f"kept as {TARGET.relative_to(TARGET.parents[2])}")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
