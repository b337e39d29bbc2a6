#!/bin/sh
# Record chapter 14 on a machine with a GPU: book/data/gpu_run.json, which the book shows with its device and date.
#
#   sh tools/record_gpu.sh record [FOLDER]   measure here; results in FOLDER (default _build/gpu_run)
#   sh tools/record_gpu.sh keep FOLDER       check such results and move the JSON to book/data/gpu_run.json
#
# Where the machine has no network, the model file goes there in two halves, each below 64 MiB:
#
#   sh tools/record_gpu.sh split             here, with the model cached: .gpu/half.0 and .gpu/half.1
#   sh tools/record_gpu.sh join HALF         there, once for each half: puts it into the cache; the second completes it
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
split)
    mkdir -p .gpu
    "$PYTHON" -c 'from mini_engine.files.fetch import fetch_gguf; print(fetch_gguf())' >.gpu/path
    split -n 2 -d -a 1 "$(cat .gpu/path)" .gpu/half.
    rm .gpu/path
    ls -l .gpu
    ;;
join)
    half=${2:?name a half}
    target=$("$PYTHON" -c 'from mini_engine.files.fetch import gguf_path; print(gguf_path())')
    mkdir -p "$(dirname "$target")"
    cp "$half" "$target.${half##*.}"
    if [ -f "$target.0" ] && [ -f "$target.1" ]; then
        cat "$target.0" "$target.1" >"$target"
        rm "$target.0" "$target.1"
        "$PYTHON" -c 'from mini_engine.files.fetch import *; assert sha256_of(gguf_path()) == GGUF_SHA256; print("model complete")'
    else
        echo "one half is here"
    fi
    ;;
*)
    sed -n '2,12s/^# \{0,1\}//p' "$0" >&2
    exit 2
    ;;
esac
