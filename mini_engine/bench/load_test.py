"""Load test of any OpenAI-compatible server: requests per second, time to first token, time per output token."""

import json
import random
import time
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import asdict, dataclass, field

import httpx
import numpy as np
from tqdm import tqdm

from mini_engine.plotting import COLORS, figure

PERCENTILES = (50, 90, 95, 99)
SYSTEM = "You are a patient teacher. Answer in plain words, in at most three sentences, and give one example. "
TOPICS = ("the sky", "a bicycle", "a compiler", "the seasons", "a prime number", "bread", "sea water", "an index")


@dataclass
class RequestResult:
    """One request as its client saw it. Times are seconds from the test's start; token_times one per text chunk."""

    start_s: float
    token_times_s: list[float] = field(default_factory=list)
    end_s: float = 0.0
    num_output_tokens: int = 0
    error: str | None = None

    @property
    def ttft_s(self):
        """Seconds from sending to the first text."""
        return self.token_times_s[0] - self.start_s

    @property
    def tpot_s(self):
        """Mean seconds per token after the first, or None with fewer than two."""
        if self.num_output_tokens < 2 or not self.token_times_s:
            return None
        return (self.token_times_s[-1] - self.token_times_s[0]) / (self.num_output_tokens - 1)


def make_prompts(num_requests):
    """Questions behind one shared beginning, no two alike."""
    return [f"{SYSTEM}Question {i + 1}: tell me about {TOPICS[i % len(TOPICS)]}." for i in range(num_requests)]


def load_test(
    base_url,
    model=None,
    *,
    num_requests=64,
    concurrency=32,
    request_rate=None,
    prompts=None,
    max_tokens=64,
    chat=False,
    ignore_eos=False,
    seed=0,
    timeout_s=600.0,
    progress=True,
):
    """Send streaming requests and measure; returns the report of `summarize` as a dict that JSON can hold.

    base_url: with or without /v1. model: the server's first one when None. concurrency: requests open at most.
    request_rate: requests per second with Poisson arrivals; None sends as fast as concurrency allows. chat: use the
    chat endpoint. ignore_eos: an extension of vLLM, llama.cpp and this server, for answers of exactly max_tokens.
    Raises ValueError for sizes that make no sense and OSError when the server does not answer.
    """
    if num_requests < 1 or concurrency < 1 or max_tokens < 1 or (request_rate is not None and request_rate <= 0):
        raise ValueError(f"must be positive: {num_requests=}, {concurrency=}, {max_tokens=}, {request_rate=}")
    base_url = base_url.rstrip("/").removesuffix("/v1")
    texts = make_prompts(num_requests) if prompts is None else [prompts[i % len(prompts)] for i in range(num_requests)]
    limits = httpx.Limits(max_connections=concurrency)
    with httpx.Client(base_url=f"{base_url}/v1", timeout=timeout_s, limits=limits) as client:
        model = _first_model(client, base_url) if model is None else model
        shared = {"model": model, "max_tokens": max_tokens, "temperature": 0, "stream": True}
        shared |= {"stream_options": {"include_usage": True}} | ({"ignore_eos": True} if ignore_eos else {})
        forms = [{"messages": [{"role": "user", "content": t}]} if chat else {"prompt": t} for t in texts]
        path = "/chat/completions" if chat else "/completions"
        results = _send_all(client, path, [shared | form for form in forms], concurrency, request_rate, seed, progress)
    settings = {"base_url": base_url, "model": model, "num_requests": num_requests, "concurrency": concurrency}
    settings |= {"request_rate": request_rate, "max_tokens": max_tokens, "chat": chat, "ignore_eos": ignore_eos}
    return summarize(results, settings)


def _first_model(client, base_url):
    try:
        reply = client.get("/models", timeout=10)
        return reply.raise_for_status().json()["data"][0]["id"]
    except (httpx.HTTPError, httpx.InvalidURL, ValueError, LookupError) as error:
        raise OSError(f"no OpenAI-compatible server answers at {base_url}: {error or type(error).__name__}") from None


def _send_all(client, path, bodies, concurrency, request_rate, seed, progress):
    rng, origin, futures, due_s = random.Random(seed), time.perf_counter(), [], 0.0
    bar = tqdm(total=len(bodies), unit="req", disable=not progress, leave=False)
    with ThreadPoolExecutor(concurrency) as pool, bar:
        for body in bodies:
            if request_rate is not None:
                time.sleep(max(due_s - (time.perf_counter() - origin), 0))
            sent_s = due_s if request_rate is not None else None
            futures.append(pool.submit(_send, client, path, body, origin, sent_s))
            futures[-1].add_done_callback(lambda _: bar.update())
            due_s += rng.expovariate(request_rate) if request_rate is not None else 0.0
        return [future.result() for future in as_completed(futures)]


def _send(client, path, body, origin, due_s):
    """One streaming request. A request of an open-loop test is late from the moment it was due."""
    result = RequestResult(time.perf_counter() - origin if due_s is None else due_s)
    try:
        with client.stream("POST", path, json=body) as reply:
            if reply.status_code != 200:
                reply.read()
                result.error = f"HTTP {reply.status_code}"
            for line in reply.iter_lines() if result.error is None else ():
                if line.startswith("data: ") and line != "data: [DONE]":
                    _take_event(result, json.loads(line.removeprefix("data: ")), time.perf_counter() - origin)
    except (httpx.HTTPError, ValueError) as error:
        result.error = type(error).__name__
    if result.error is None and not result.token_times_s:
        result.error = "no text"
    result.end_s = time.perf_counter() - origin
    return result


def _take_event(result, event, now_s):
    if "error" in event:
        result.error = "error in the stream"
    for choice in event.get("choices") or ():
        text = choice.get("text") or (choice.get("delta") or {}).get("content")
        if text:
            result.token_times_s.append(now_s)
            result.num_output_tokens += 1  # one chunk one token, unless the server says better in its usage
    if event.get("usage"):
        result.num_output_tokens = event["usage"]["completion_tokens"]


def summarize(results, settings):
    """The report: rates, percentiles over the requests that succeeded, and every request, sorted by start."""
    good = sorted((r for r in results if r.error is None), key=lambda r: r.start_s)
    errors = [r.error for r in results if r.error is not None]
    duration_s = max(r.end_s for r in results) - min(r.start_s for r in results)
    gaps = [b - a for r in good for a, b in zip(r.token_times_s, r.token_times_s[1:], strict=False)]
    num_tokens = sum(r.num_output_tokens for r in good)
    return {
        "settings": settings,
        "num_ok": len(good),
        "num_failed": len(errors),
        "errors": {error: errors.count(error) for error in sorted(set(errors))},
        "duration_s": duration_s,
        "requests_per_s": len(good) / duration_s,
        "output_tokens_per_s": num_tokens / duration_s,
        "num_output_tokens": num_tokens,
        "ttft_s": percentiles([r.ttft_s for r in good]),
        "tpot_s": percentiles([r.tpot_s for r in good if r.tpot_s is not None]),
        "itl_s": percentiles(gaps),
        "latency_s": percentiles([r.end_s - r.start_s for r in good]),
        "requests": [asdict(r) for r in good],
    }


def percentiles(values):
    """Mean, p50, p90, p95, p99 and maximum; None where there is no value."""
    if not values:
        return None
    points = np.percentile(values, PERCENTILES).tolist()
    named = {f"p{p}": point for p, point in zip(PERCENTILES, points, strict=True)}
    return {"mean": float(np.mean(values)), **named, "max": max(values)}


def table(report):
    """The report as lines of text, times in milliseconds."""
    counts = f"{report['num_ok']} ok, {report['num_failed']} failed {report['errors'] or ''}".rstrip()
    lines = [
        f"{counts}, {report['duration_s']:.2f} s",
        f"{report['requests_per_s']:.2f} requests/s, {report['output_tokens_per_s']:.1f} output tokens/s",
        f"{'ms':>8}" + "".join(f"{name:>10}" for name in ("mean", "p50", "p90", "p95", "p99", "max")),
    ]
    for name in ("ttft", "tpot", "itl", "latency"):
        if row := report[f"{name}_s"]:
            lines.append(f"{name:>8}" + "".join(f"{1000 * value:10.1f}" for value in row.values()))
    return "\n".join(lines)


def plot(report, path):
    """Save a picture: the share of requests below each TTFT and TPOT, and when each request ran."""
    from matplotlib import ticker

    fig, (left, right) = figure(1, 2, size=(10, 3.8))
    requests = [RequestResult(**request) for request in report["requests"]]
    for label, color, values in (
        ("TTFT", COLORS[0], sorted(r.ttft_s for r in requests)),
        ("TPOT", COLORS[1], sorted(r.tpot_s for r in requests if r.tpot_s is not None)),
    ):
        left.step(np.multiply(values, 1000), np.linspace(0, 100, len(values)), color=color, label=label)
    left.set(xscale="log", xlabel="milliseconds", ylabel="requests at or below (%)")
    left.xaxis.set_major_locator(ticker.LogLocator(subs=(1, 2, 5)))
    left.xaxis.set_major_formatter("{x:g}")
    left.xaxis.set_minor_formatter(ticker.NullFormatter())
    left.legend()
    for i, r in enumerate(requests):
        right.plot([r.start_s, r.token_times_s[0]], [i, i], color=COLORS[5])
        right.plot([r.token_times_s[0], r.end_s], [i, i], color=COLORS[0])
    right.set(xlabel="seconds", ylabel="request", title="waiting for the first token, then streaming")
    fig.savefig(path, dpi=150, facecolor="white")
