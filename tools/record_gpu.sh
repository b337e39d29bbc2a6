#!/bin/sh
# Record chapter 14 on a machine with a GPU: book/data/gpu_run.json, which the book shows with its device and date.
#
#   sh tools/record_gpu.sh record [FOLDER]   measure here; results in FOLDER (default _build/gpu_run)
#   sh tools/record_gpu.sh keep FOLDER       check such results and move the JSON to book/data/gpu_run.json
#
# Without the model the run takes random weights of its shape: every time is as good, no text can be checked.
set -eu
cd "$(dirname "$0")/.."
PYTHON=${PYTHON:-$(command -v python3 || command -v python)}
export PYTHONPATH="$PWD${PYTHONPATH:+:$PYTHONPATH}" PYTHONUNBUFFERED=1

case ${1:-} in
record)
    folder=${2:-_build/gpu_run}
    mkdir -p "$folder"
    code=0
    "$PYTHON" -m mini_engine bench gpu --device cuda --model smollm2 --json "$folder/gpu_run.json" --plot "$folder" \
        >"$folder/gpu_run.txt" || code=$?
    cat "$folder/gpu_run.txt"
    exit $code
    ;;
keep)
    "$PYTHON" tools/keep_gpu_run.py "${2:?name the folder with gpu_run.json}/gpu_run.json"
    ;;
*)
    sed -n '2,7s/^# \{0,1\}//p' "$0" >&2
    exit 2
    ;;
esac
