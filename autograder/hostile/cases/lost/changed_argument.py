"""Answers right, and sorts or fills the list it was given, as some do.

answers: kv_bytes_per_token generate
score: kv_bytes_per_token=3 generate=6 latency_by_length=3
note: -
"""
# %% latency_by_length
def latency_by_length(model, lengths=(10, 50, 100, 500, 1000), new_tokens=8, repeats=3):
    for count in (*lengths, new_tokens, repeats):
        if count < 1:
            raise ValueError(f"got {count}")
    result = dict(lengths=[*lengths], with_cache_s=[], without_cache_s=[])
    for length in lengths:
        prompt = np.random.randint(0, model.config.vocab_size, length).tolist()
        for key in ("without_cache_s", "with_cache_s"):
            taken = []
            for _ in range(repeats + 1):
                start = time.perf_counter()
                generate(model, prompt, new_tokens, key == "with_cache_s")
                taken.append(time.perf_counter() - start)
            result[key].append(sorted(taken[1:])[repeats // 2] if repeats % 2 else float(np.median(taken[1:])))
    return result
