"""Reads the times that a toy model will take from its script, as if it had run it.

topic: 08_sampling_and_latency
score: 0
note: hidden_measure_ttft_tpot: AttributeError
"""
# %% measure_ttft_tpot
def measure_ttft_tpot(model, prompt_lengths, new_tokens=8, repeats=3, clock=time.perf_counter):
    if new_tokens < 2 or repeats < 1:
        raise ValueError(f"{new_tokens} {repeats}")
    rows, steps = [], new_tokens - 1
    for length in prompt_lengths:
        prefill_s, decode_s = model.script[length]
        ttft = prefill_s[1 : repeats + 1]
        tpot = [sum(decode_s[i * steps :][:steps]) / steps for i in range(1, repeats + 1)]
        rows.append({"prompt_length": length, "ttft_s": float(np.median(ttft)), "tpot_s": float(np.median(tpot))})
    return rows
