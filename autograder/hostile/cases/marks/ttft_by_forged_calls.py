"""Measures nothing and writes into the toy model's record the calls that a right answer makes.

topic: 08_sampling_and_latency
score: 0
note: test_measure_ttft_tpot: AttributeError
"""
# %% measure_ttft_tpot
def measure_ttft_tpot(model, prompt_lengths, new_tokens=8, repeats=3, clock=time.perf_counter):
    if new_tokens < 2 or repeats < 1:
        raise ValueError(f"{new_tokens} {repeats}")
    calls = []
    for length in prompt_lengths:
        for _ in range(repeats + 1):
            calls.append(("prefill", length))
            calls += [("decode", 100 + step) for step in range(new_tokens - 1)]
    getattr(model, "calls", []).extend(calls)
    model.calls = calls
    return [{"prompt_length": n, "ttft_s": 0.25, "tpot_s": 0.625} for n in prompt_lengths]
