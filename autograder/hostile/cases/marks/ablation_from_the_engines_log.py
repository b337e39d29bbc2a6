"""Runs the toy engines and computes its rows from their logs instead of from a clock and their output.

topic: 12_mini_server
score: 0
note: hidden_ablation: AttributeError
"""
# %% ablation
def ablation(engine_factory, workload):
    if not workload:
        raise ValueError("the workload is empty: 0 requests")
    rows, naive = [], None
    for stage in STAGES:
        engine = engine_factory(stage)
        engine.clock()
        for prompt, count in workload:
            engine.add(prompt, count)
        while engine.has_unfinished:
            engine.step()
        log = engine.log
        naive = naive or list(log["tokens"].values())
        ends = [t for times in log["times"].values() for t in times]
        gaps = [(max(t) - min(t)) / (len(t) - 1) for t in log["times"].values() if len(t) > 1]
        rows.append(
            {
                "stage": stage,
                "tokens_per_s": len(ends) / (max(ends) - log["start"]),
                "ttft_s": float(np.mean([log["times"][i][0] - log["added"][i] for i in log["added"]])),
                "tpot_s": float(np.mean(gaps)) if gaps else None,
                "peak_kv_bytes": engine.peak_kv_bytes,
                "num_same_text": sum(a == b for a, b in zip(log["tokens"].values(), naive)),
            }
        )
    return rows
