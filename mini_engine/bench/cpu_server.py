"""The served half of `bench cpu`: our server with many streams, beside the bare batch of as many."""

import subprocess
import sys
from contextlib import contextmanager

from mini_engine.bench.cpu_batch import decode_step
from mini_engine.bench.load_test import load_test
from mini_engine.bench.timing import interleaved, spread

NUM_STREAMS, MAX_TOKENS = 32, 192
CONTEXT = 132  # of the bare batch: about what a stream holds in the middle


@contextmanager
def served(name="smollm2"):
    """The base URL of a server in a process of its own, int8 and with room for NUM_STREAMS streams."""
    options = ["--model", name, "--quant", "int8", "--port", "0", "--max-num-seqs", str(NUM_STREAMS)]
    command = [sys.executable, "-m", "mini_engine", "serve", *options]
    server = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    try:
        yield server.stdout.readline().split()[3]
    finally:
        server.terminate()
        server.wait()


def server_race(model, num_rounds, name="smollm2"):
    """Tokens per second of the server and of the bare batch, in turns, and their ratio within a round.

    The server runs on the same cores as its clients, and its seconds hold the prefill too. model: what the server
    runs, in int8.
    """
    settings = {"num_requests": NUM_STREAMS, "concurrency": NUM_STREAMS, "max_tokens": MAX_TOKENS, "ignore_eos": True}
    step, rates, bare = decode_step(model, NUM_STREAMS, CONTEXT), [], []
    with served(name) as url:
        for number in range(num_rounds + 1):
            bare.append(NUM_STREAMS / spread(interleaved({"": step}, 8)[""])["median"])
            rates.append(load_test(url, **settings, progress=False)["output_tokens_per_s"])
            if number == 0:
                rates, bare = [], []
    share = [s / b for s, b in zip(rates, bare, strict=True)]
    result = {"num_streams": NUM_STREAMS, "max_tokens": MAX_TOKENS, "context": CONTEXT}
    return result | {"served": spread(rates), "bare": spread(bare), "share": spread(share)}


def print_server(result):
    """The two rates and their ratio."""
    served, bare, share = (result[key]["median"] for key in ("served", "bare", "share"))
    streams = result["num_streams"]
    print(f"\nserver, {streams} streams: {served:.0f} tokens/s, bare batch of {streams}: {bare:.0f}; share {share:.2f}")
