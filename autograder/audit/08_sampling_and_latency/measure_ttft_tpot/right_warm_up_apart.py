"""Makes the warm-up run in a statement of its own."""


def measure_ttft_tpot(model, prompt_lengths, new_tokens=8, repeats=3, clock=time.perf_counter):
    if new_tokens <= 1 or repeats <= 0:
        raise ValueError(f"cannot measure {new_tokens} tokens {repeats} times")

    def run(ids):
        start = clock()
        token = model.prefill(ids)
        middle = clock()
        left = new_tokens - 1
        while left:
            token = model.decode(token)
            left -= 1
        return np.array([middle - start, (clock() - middle) / (new_tokens - 1)])

    out = []
    for length in prompt_lengths:
        ids = model.prompt(length)
        run(ids)
        a, b = np.median(np.stack([run(ids) for _ in range(repeats)]), axis=0).tolist()
        out.append({"prompt_length": length, "ttft_s": a, "tpot_s": b})
    return out
