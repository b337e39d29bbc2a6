"""Record what chapter 18 says about a fleet of our servers: hand-over, routing, a killed replica, goodput, Ray Serve.

    python tools/record_fleet.py handover routing killed rates-1 rates-2 ray

writes book/data/fleet.json; a part that is not named keeps its last recording. All but the rates are counts, which a
busy machine does not change. `ray` wants `pip install ".[ray]"`, which nothing else here needs.
"""

import argparse
import json
import os
import signal
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import httpx
from prometheus_client.parser import text_string_to_metric_families

from mini_engine.bench.load_test import load_test, make_prompts
from mini_engine.bench.machine import machine
from mini_engine.bench.timing import write_json
from mini_engine.fleet.handover import generate_split, handover_bytes
from mini_engine.fleet.objectives import Objectives, highest_rate, share_within
from mini_engine.fleet.traces import make_trace
from mini_engine.generate import generate
from mini_engine.loading import load

TARGET = Path(__file__).resolve().parents[1] / "book" / "data" / "fleet.json"
TIMEOUT_S = 600
OUTCOMES = ("answered", "refused", "broken", "cut")  # broken: ended with an error event; cut: without a word
OBJECTIVES, NUM_TOKENS = Objectives(ttft_s=1.0, tpot_s=0.1, share=0.9), 24
PROMPTS = (
    "A ship needs three things: a hull that floats, a crew that agrees, and a chart. The captain began with the",
    "A ship needs three things: a hull that floats, a crew that agrees, and a chart. The cook began with the soup",
    "Water boils",
)


@contextmanager
def fleet(num_replicas, *options):
    """The address of `python -m mini_engine.fleet`, once all its replicas are up."""
    command = [sys.executable, "-m", "mini_engine.fleet", "--replicas", str(num_replicas), "--port", "0", *options]
    front = subprocess.Popen([*command, "--quant", "int8"], stdout=subprocess.PIPE, text=True)
    try:
        url = front.stdout.readline().split()[3].removesuffix("/v1")
        while len([1 for each in health(url)["replicas"].values() if each["url"]]) < num_replicas:
            time.sleep(0.5)
        yield url
    finally:
        front.send_signal(signal.SIGINT)
        front.wait()


def health(url):
    return httpx.get(f"{url}/health", timeout=TIMEOUT_S).json()


def post(url, prompt, max_tokens, stream=False):
    body = {"model": "smollm2", "prompt": prompt, "max_tokens": max_tokens, "temperature": 0, "stream": stream}
    return httpx.post(f"{url}/v1/completions", json=body | {"ignore_eos": True}, timeout=TIMEOUT_S)


def counter(url, name):
    families = text_string_to_metric_families(httpx.get(f"{url}/metrics", timeout=TIMEOUT_S).text)
    return next(s.value for family in families for s in family.samples if s.name == f"mini_engine_{name}")


def record_handover():
    """Two processes and one, with the real model: the text and the bytes."""
    model, tokenizer = load("smollm2", compiled=False)
    prompts = [tokenizer.encode(text) for text in PROMPTS]
    got = generate_split(prompts, 16, "smollm2", TIMEOUT_S)
    return {
        "num_tokens": [len(ids) for ids in prompts],
        "same_text": got.tokens == [list(generate(model, ids, 16)) for ids in prompts],
        "num_bytes": got.num_bytes,
        "formula_bytes": handover_bytes(model.config, prompts),
    }


def record_routing(num_turns=80, num_replicas=2, concurrency=6):
    """Prompt tokens that the replicas found in their caches, for two traces and two policies."""
    rows = []
    for kind in ("chat", "agent"):
        for policy in ("turns", "prefix"):
            turns = make_trace(kind)[:num_turns]
            with fleet(num_replicas, "--policy", policy) as url, ThreadPoolExecutor(concurrency) as pool:
                replies = list(pool.map(lambda turn: post(url, turn.prompt, 4), turns))
                urls = [each["url"] for each in health(url)["replicas"].values()]
                asked, hit = (
                    [counter(each, f"prefix_{name}_tokens_total") for each in urls] for name in ("queried", "hit")
                )
                sent = list(health(url)["sent"].values())
            row = {"kind": kind, "policy": policy, "num_turns": num_turns, "sent": sent, "found": sum(hit) / sum(asked)}
            rows.append(row | {"num_ok": sum(reply.status_code == 200 for reply in replies)})
            print(rows[-1], flush=True)
    return rows


def ended(url, number):
    """What became of one of many requests, half of them streams: one of OUTCOMES."""
    try:
        reply = post(url, f"Question {number}: what is the number of days in", 48, number % 2 == 0)
    except httpx.HTTPError:
        return "cut"
    if reply.status_code != 200:
        return "refused"
    return "answered" if number % 2 or "[DONE]" in reply.text else "broken"


def children(pid):
    listed = subprocess.run(["ps", "-o", "pid=", "--ppid", str(pid)], capture_output=True, text=True).stdout
    return [int(word) for word in listed.split()]


def record_killed(num_requests=60, concurrency=12):
    """A replica is killed in the middle of its work: how each request ended, and that it came back."""
    with fleet(2) as url, ThreadPoolExecutor(concurrency) as pool:
        port = health(url)["replicas"]["replica 0"]["url"].rsplit(":", 1)[1]
        (victim,) = [pid for pid in replica_pids() if listens(pid, int(port))]
        tasks = [pool.submit(ended, url, number) for number in range(num_requests)]
        while sum(task.done() for task in tasks) < num_requests // 5:
            time.sleep(0.05)
        os.kill(victim, signal.SIGKILL)
        outcomes = [task.result(TIMEOUT_S) for task in tasks]
        while health(url)["replicas"]["replica 0"]["num_starts"] < 2:
            time.sleep(0.5)
        after = ended(url, 1)
        counts = health(url)["counts"]
    return {
        "num_requests": num_requests,
        **{name: outcomes.count(name) for name in OUTCOMES},
        "retried": counts["retried"],
        "after_restart": after,
    }


def replica_pids():
    return [pid for front in children(os.getpid()) for pid in children(front)]


def listens(pid, port):
    """Whether this process has the listening socket of a port (Linux: its inode stands in /proc/net/tcp)."""
    rows = [line.split() for line in Path("/proc/net/tcp").read_text().splitlines()[1:]]
    inodes = {row[9] for row in rows if row[3] == "0A" and int(row[1].split(":")[1], 16) == port}
    links = [os.readlink(path) for path in Path(f"/proc/{pid}/fd").iterdir() if path.is_symlink()]
    return any(f"socket:[{inode}]" in links for inode in inodes)


def record_rates(num_replicas, look_s=15, num_lone=5):
    """The highest rate at which the objectives are kept, and how long a request takes that is alone."""
    with fleet(num_replicas) as url:
        number = iter(range(10**6))

        def tested(num, **options):
            prompts = [f"{next(number)}. {text}" for text in make_prompts(num)]  # no two share a beginning
            return load_test(
                url,
                num_requests=num,
                prompts=prompts,
                max_tokens=NUM_TOKENS,
                ignore_eos=True,
                progress=False,
                **options,
            )

        tested(8 * num_replicas, concurrency=8 * num_replicas)  # warm
        lone_s = tested(num_lone, concurrency=1)["latency_s"]["p50"]

        def share_at(rate):
            num = round(look_s * rate)  # a burst that is over before the queue has grown would promise too much
            share = share_within(tested(num, concurrency=num, request_rate=rate), OBJECTIVES)
            print(num_replicas, rate, share, flush=True)
            return share

        rate, tried = highest_rate(share_at, OBJECTIVES.share, 4.0, 32.0, 1.15)
    found = {"num_replicas": num_replicas, "lone_s": lone_s, "goodput": rate, "tried": sorted(tried.items())}
    return {"objectives": vars(OBJECTIVES), "look_s": look_s, "num_tokens": NUM_TOKENS, **found}


def record_ray(num_requests=40):
    """The same application on Ray Serve with two worker processes: who answered, and what a kill does."""
    import ray
    from ray import serve

    from mini_engine.fleet.on_ray import serve_on_ray

    url = serve_on_ray("smollm2", num_replicas=2)
    try:
        pids = set()
        while len(pids) < 2:
            pids.add(httpx.get(f"{url}/pid", timeout=TIMEOUT_S).json())
        outcomes = []
        threads = [threading.Thread(target=lambda n=n: outcomes.append(ended(url, n))) for n in range(num_requests)]
        for thread in threads:
            thread.start()
        while len(outcomes) < num_requests // 5:
            time.sleep(0.05)
        os.kill(min(pids), signal.SIGKILL)
        for thread in threads:
            thread.join()
        found = {name: outcomes.count(name) for name in OUTCOMES}
        return {"version": ray.__version__, "num_workers": len(pids), "num_requests": num_requests, **found}
    finally:
        serve.shutdown()
        ray.shutdown()


PARTS = {
    "handover": record_handover,
    "routing": record_routing,
    "killed": record_killed,
    "rates-1": partial(record_rates, 1),
    "rates-2": partial(record_rates, 2),
    "ray": record_ray,
}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("parts", nargs="+", choices=PARTS)
    args = parser.parse_args()
    for part in args.parts:
        results = json.loads(TARGET.read_text()) if TARGET.exists() else {}
        command = f"python tools/record_fleet.py {part}"
        results[part] = {"command": command, "machine": machine(), "result": PARTS[part]()}
        write_json(TARGET, results)
        print(part, json.dumps(results[part]["result"])[:600], flush=True)


if __name__ == "__main__":
    main()
