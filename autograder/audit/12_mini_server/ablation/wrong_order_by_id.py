"""Compares the texts in the order of the ids."""
def ablation(engine_factory, workload):
    """One row per name of STAGES: throughput, latencies, memory and agreement with the naive stage.

    engine_factory: stage name -> a new engine (see above). workload: list of (prompt, max_tokens). Returns a list of
    dicts. Raises ValueError for an empty workload.
    """
    if not workload:
        raise ValueError("the workload is empty: 0 requests")
    rows, reference = [], None
    for stage in STAGES:
        engine = engine_factory(stage)
        start, added, texts, times = engine.clock(), {}, {}, {}
        for prompt, max_tokens in workload:
            now = engine.clock()
            request_id = engine.add(prompt, max_tokens)
            added[request_id], texts[request_id], times[request_id] = now, [], []
        while engine.has_unfinished:
            output = engine.step()
            now = engine.clock()
            for request_id, tokens in output:
                texts[request_id] += tokens
                times[request_id] += [now] * len(tokens)
        answers = [texts[i] for i in sorted(texts)]
        reference = answers if reference is None else reference
        gaps = [(t[-1] - t[0]) / (len(t) - 1) for t in times.values() if len(t) > 1]
        rows.append(
            {
                "stage": stage,
                "tokens_per_s": sum(map(len, answers)) / (max(t[-1] for t in times.values()) - start),
                "ttft_s": sum(t[0] - added[i] for i, t in times.items()) / len(times),
                "tpot_s": sum(gaps) / len(gaps) if gaps else None,
                "peak_kv_bytes": engine.peak_kv_bytes,
                "num_same_text": sum(a == b for a, b in zip(answers, reference, strict=True)),
            }
        )
    return rows
