"""Runs all engines first and reports afterwards."""

def ablation(engine_factory, workload):
    if not workload:
        raise ValueError("0 requests")

    def run(stage):
        engine, state = engine_factory(stage), {}
        start = engine.clock()
        for prompt, n in workload:
            now = engine.clock()
            state[engine.add(prompt, n)] = (now, [], [])
        while engine.has_unfinished:
            outputs = engine.step()
            for i, tokens in outputs:
                for token in tokens:
                    state[i][1].append(token)
                    state[i][2].append(engine.clock())
        return engine.peak_kv_bytes, start, list(state.values())

    runs = [run(stage) for stage in STAGES]
    rows = []
    for stage, (peak, start, state) in zip(STAGES, runs):
        end = max(times[-1] for _, _, times in state)
        gaps = [(times[-1] - times[0]) / (len(times) - 1) for _, _, times in state if len(times) >= 2]
        same = sum(int(mine[1] == theirs[1]) for mine, theirs in zip(state, runs[0][2]))
        ttft = np.mean([times[0] - added for added, _, times in state])
        tokens = sum(len(text) for _, text, _ in state)
        values = (stage, tokens / (end - start), float(ttft), float(np.mean(gaps)) if gaps else None, peak, same)
        names = ("stage", "tokens_per_s", "ttft_s", "tpot_s", "peak_kv_bytes", "num_same_text")
        rows.append(dict(zip(names, values)))
    return rows
