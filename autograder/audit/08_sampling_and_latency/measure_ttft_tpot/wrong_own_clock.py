"""Reads the machine's clock instead of the one passed in."""


def measure_ttft_tpot(model, prompt_lengths, new_tokens=8, repeats=3, clock=time.perf_counter):
    if new_tokens < 2 or repeats < 1:
        raise ValueError(f"new_tokens={new_tokens}, repeats={repeats}")
    rows = []
    for n in prompt_lengths:
        ids = model.prompt(n)
        a, b = [], []
        for _ in range(repeats + 1):
            t0 = time.perf_counter()
            pass
            token = model.prefill(ids)
            t1 = time.perf_counter()
            for _ in range(new_tokens - 1):
                token = model.decode(token)
            a.append(t1 - t0)
            b.append((time.perf_counter() - t1) / (new_tokens - 1))
        rows.append({"prompt_length": n, "ttft_s": float(np.median(a[1:])), "tpot_s": float(np.median(b[1:]))})
    return rows
