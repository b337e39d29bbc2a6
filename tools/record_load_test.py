"""Put our server and llama-cpp-python's under the same load, for chapter 12: one client at a time, and many at once.

    python tools/record_load_test.py

writes book/data/load_test.json. Int8 weights here, llama.cpp's Q8_0 there. llama-cpp-python is optional (with its extra
"server"); where it is missing, its rows of the last recording stay. A minute on a quiet machine.
"""

import importlib.util
import json
import subprocess
import sys
import tempfile
import time
from contextlib import contextmanager
from pathlib import Path

import httpx
from prometheus_client.parser import text_string_to_metric_families

from mini_engine.bench.cpu_server import NUM_STREAMS, served
from mini_engine.bench.load_test import load_test
from mini_engine.bench.machine import machine
from mini_engine.bench.peers import convert_gguf
from mini_engine.bench.timing import write_json

TARGET = Path(__file__).resolve().parents[1] / "book" / "data" / "load_test.json"
MAX_TOKENS, PORT = 64, 8917


def report(label, url, num_requests, concurrency):
    """A load test's report, with its label, and printed."""
    result = load_test(url, num_requests=num_requests, concurrency=concurrency, max_tokens=MAX_TOKENS, progress=False)
    result.pop("requests", None)
    print(f"{label}: {result['num_ok']} ok, {result.get('output_tokens_per_s')} tokens/s", flush=True)
    return {"label": label} | result


def counters(url):
    """What /metrics says: the metrics without labels, by their names without the prefix."""
    families = text_string_to_metric_families(httpx.get(f"{url.removesuffix('/v1')}/metrics").text)
    samples = [sample for family in families for sample in family.samples if not sample.labels]
    return {sample.name.removeprefix("mini_engine_"): sample.value for sample in samples}


def ours():
    """One at a time, then NUM_STREAMS at once, each on a fresh server after a warm-up."""
    rows = {}
    for key, num_requests, concurrency in (("alone", 8, 1), ("busy", NUM_STREAMS, NUM_STREAMS)):
        with served() as url:
            load_test(url, num_requests=2, concurrency=2, max_tokens=4, prompts=["warm up"] * 2, progress=False)
            label = "mini_engine, " + ("1 at a time" if concurrency == 1 else f"{concurrency} at once")
            rows[key] = report(label, url, num_requests, concurrency)
            rows["metrics_after"] = counters(url)
    return rows


@contextmanager
def llama_cpp_server(path, *options):
    """The base URL of llama-cpp-python's server."""
    command = [sys.executable, "-m", "llama_cpp.server", "--model", str(path), "--n_ctx", "2048", "--port", str(PORT)]
    server = subprocess.Popen([*command, *options], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    url = f"http://127.0.0.1:{PORT}"
    try:
        for _ in range(120):
            try:
                httpx.get(f"{url}/v1/models")
                break
            except httpx.TransportError:
                time.sleep(0.5)
        yield url
    finally:
        server.terminate()
        server.wait()


def theirs(path):
    """As it comes with 16 streams; and one after the other, alone and with 8 waiting."""
    name, rows = "llama-cpp-python", {}
    with llama_cpp_server(path) as url:
        rows["llama_default"] = report(f"{name} as it comes, 16 at once", url, 16, 16)
    with llama_cpp_server(path, "--interrupt_requests", "false") as url:
        rows["llama_alone"] = report(f"{name}, 1 at a time", url, 8, 1)
        rows["llama_busy"] = report(f"{name}, 8 at once", url, 8, 8)
    return rows


def main():
    results = {"command": "python tools/record_load_test.py", "machine": machine()} | ours()
    if importlib.util.find_spec("llama_cpp"):
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "q8_0.gguf"
            convert_gguf(path, "Q8_0")
            results |= theirs(path) | {"llama_machine": results["machine"]}
    else:
        last = json.loads(TARGET.read_text())
        results |= {key: row for key, row in last.items() if key.startswith("llama_")}
    write_json(TARGET, results)


if __name__ == "__main__":
    main()
