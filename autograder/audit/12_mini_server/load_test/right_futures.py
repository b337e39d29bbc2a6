"""Submits futures and keeps a small record per request."""

def load_test(base_url, model="smollm2", prompts=PROMPTS, max_tokens=32, concurrency=4, open_stream=open_stream, clock=time.perf_counter):
    if min(len(prompts), max_tokens, concurrency) < 1:
        raise ValueError(f"nothing to do: {len(prompts)}, {max_tokens}, {concurrency}")
    root = base_url
    while root.endswith("/"):
        root = root[:-1]
    if not root.endswith("/v1"):
        root += "/v1"

    def one(prompt):
        record = {"start": clock(), "times": [], "tokens": 0, "usage": None, "ok": True}
        body = dict(model=model, prompt=prompt, max_tokens=max_tokens, temperature=0, stream=True, stream_options=dict(include_usage=True))
        try:
            for line in open_stream(root + "/completions", body):
                now = clock()
                field, _, payload = line.partition(": ")
                if field != "data" or payload.strip() == "[DONE]":
                    continue
                data = json.loads(payload)
                record["ok"] = record["ok"] and "error" not in data
                for choice in data.get("choices", []):
                    if choice.get("text", "") != "":
                        record["times"].append(now)
                record["usage"] = data.get("usage") or record["usage"]
        except OSError:
            record["ok"] = False
        record["tokens"] = record["usage"]["completion_tokens"] if record["usage"] else len(record["times"])
        record["ok"] = record["ok"] and len(record["times"]) > 0
        return record

    began = clock()
    with ThreadPoolExecutor(max_workers=concurrency) as pool:
        records = [future.result() for future in [pool.submit(one, prompt) for prompt in prompts]]
    seconds = clock() - began
    ok = [record for record in records if record["ok"]]
    ttft = [record["times"][0] - record["start"] for record in ok]
    tpot = [(r["times"][-1] - r["times"][0]) / (r["tokens"] - 1) for r in ok if r["tokens"] >= 2]

    def summary(values):
        if not values:
            return None
        return dict(zip(("p50", "p95", "p99"), np.percentile(values, [50, 95, 99]).tolist()))

    return dict(num_ok=len(ok), num_failed=len(records) - len(ok), duration_s=seconds, requests_per_s=len(ok) / seconds, output_tokens_per_s=sum(r["tokens"] for r in ok) / seconds, ttft_s=summary(ttft), tpot_s=summary(tpot))
