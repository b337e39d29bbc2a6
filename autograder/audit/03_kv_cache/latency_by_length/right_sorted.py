"""Nanoseconds, sorted, the one in the middle; arrays instead of lists."""
def latency_by_length(model, lengths=(10, 50, 100, 500, 1000), new_tokens=8, repeats=3):
    if min([new_tokens, repeats, *lengths]) < 1:
        raise ValueError(f"sizes below 1: {lengths}, {new_tokens}, {repeats}")
    table = np.zeros((2, len(lengths)))
    for column, length in enumerate(lengths):
        prompt = torch.randint(0, model.config.vocab_size, (length,))
        for row in range(2):
            samples = []
            for _ in range(1 + repeats):
                t0 = time.perf_counter_ns()
                generate(model, prompt, new_tokens, bool(row))
                samples.append((time.perf_counter_ns() - t0) * 1e-9)
            ordered = sorted(samples[1:])
            table[row, column] = (ordered[(repeats - 1) // 2] + ordered[repeats // 2]) / 2
    return {"lengths": list(lengths), "with_cache_s": table[1].tolist(), "without_cache_s": table[0].tolist()}
