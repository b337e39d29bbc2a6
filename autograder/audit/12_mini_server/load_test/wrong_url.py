"""Appends the path to whatever the base URL is."""
def load_test(
    base_url,
    model="smollm2",
    prompts=PROMPTS,
    max_tokens=32,
    concurrency=4,
    open_stream=open_stream,
    clock=time.perf_counter,
):
    """Send one streaming completion per prompt and report rates and percentiles; see the table above.

    base_url: with or without /v1. open_stream: (url, body) -> lines. clock: seconds. Raises ValueError for no prompts
    or a concurrency or max_tokens below 1.
    """
    if not prompts or concurrency < 1 or max_tokens < 1:
        raise ValueError(f"must be positive: {len(prompts)} prompts, {concurrency=}, {max_tokens=}")
    url = base_url + "/v1/completions"
    shared = {"model": model, "max_tokens": max_tokens, "temperature": 0, "stream": True}
    shared["stream_options"] = {"include_usage": True}

    def send(prompt):
        times, num_tokens, start = [], None, clock()
        try:
            for line in open_stream(url, {**shared, "prompt": prompt}):
                if not line.startswith("data: ") or line == "data: [DONE]":
                    continue
                event = json.loads(line.removeprefix("data: "))
                if "error" in event:
                    return None
                if any(choice.get("text") for choice in event.get("choices") or ()):
                    times.append(clock())
                if event.get("usage"):
                    num_tokens = event["usage"]["completion_tokens"]
        except OSError:
            return None
        if not times:
            return None
        num_tokens = len(times) if num_tokens is None else num_tokens
        tpot = (times[-1] - times[0]) / (num_tokens - 1) if num_tokens > 1 else None
        return times[0] - start, tpot, num_tokens

    def percentiles(values):
        return {f"p{p}": float(np.percentile(values, p)) for p in (50, 95, 99)} if values else None

    start = clock()
    with ThreadPoolExecutor(concurrency) as pool:
        results = list(pool.map(send, prompts))
    duration = clock() - start
    good = [result for result in results if result is not None]
    return {
        "num_ok": len(good),
        "num_failed": len(results) - len(good),
        "duration_s": duration,
        "requests_per_s": len(good) / duration,
        "output_tokens_per_s": sum(num_tokens for _, _, num_tokens in good) / duration,
        "ttft_s": percentiles([ttft for ttft, _, _ in good]),
        "tpot_s": percentiles([tpot for _, tpot, _ in good if tpot is not None]),
    }
