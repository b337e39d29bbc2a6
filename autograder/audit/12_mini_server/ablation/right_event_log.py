"""Writes one log of events and computes everything from it."""

def ablation(engine_factory, workload):
    if len(workload) == 0:
        raise ValueError("no requests")
    rows = []
    naive = []
    for stage in STAGES:
        engine = engine_factory(stage)
        begin = engine.clock()
        ids, adds, log = [], [], []
        for prompt, count in workload:
            adds.append(engine.clock())
            ids.append(engine.add(prompt, count))
        while engine.has_unfinished:
            produced = engine.step()
            now = engine.clock()
            log.extend((now, i, token) for i, tokens in produced for token in tokens)
        texts = [[token for _, j, token in log if j == i] for i in ids]
        when = [np.array([now for now, j, _ in log if j == i]) for i in ids]
        if not naive:
            naive = texts
        spans = [np.diff(t).mean() for t in when if t.size > 1]
        rows.append(dict(
            stage=stage,
            tokens_per_s=len(log) / (log[-1][0] - begin),
            ttft_s=float(np.mean([t[0] - a for t, a in zip(when, adds)])),
            tpot_s=float(np.mean(spans)) if spans else None,
            peak_kv_bytes=engine.peak_kv_bytes,
            num_same_text=[a == b for a, b in zip(texts, naive)].count(True),
        ))
    return rows
