"""Interleaves the two ways, run by run, with the statistics module."""
def latency_by_length(model, lengths=(10, 50, 100, 500, 1000), new_tokens=8, repeats=3):
    import statistics

    for value in [*lengths, new_tokens, repeats]:
        if value <= 0:
            raise ValueError(f"{value} is below 1")
    times = {}
    for length in lengths:
        ids = np.random.default_rng(length).integers(0, model.config.vocab_size, length).tolist()
        for run in range(repeats + 1):
            for way in (False, True):
                begin = time.monotonic()
                generate(model, ids, new_tokens, use_cache=way)
                if run:
                    times.setdefault((length, way), []).append(time.monotonic() - begin)
    middle = lambda way: [statistics.median(times[length, way]) for length in lengths]
    return {"lengths": [*lengths], "without_cache_s": middle(False), "with_cache_s": middle(True)}
