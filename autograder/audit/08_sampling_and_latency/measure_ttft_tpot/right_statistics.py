"""Uses statistics.median and a list of pairs."""


def measure_ttft_tpot(model, prompt_lengths, new_tokens=8, repeats=3, clock=time.perf_counter):
    from statistics import median

    if new_tokens < 2:
        raise ValueError(f"need 2 or more new tokens, not {new_tokens}")
    if repeats < 1:
        raise ValueError(f"need 1 or more repeats, not {repeats}")
    result = []
    for length in prompt_lengths:
        ids, pairs = model.prompt(length), []
        for run in range(-1, repeats):
            marks = [clock()]
            token = model.prefill(ids)
            marks.append(clock())
            for _ in range(1, new_tokens):
                token = model.decode(token)
                marks.append(clock())
            if run >= 0:
                pairs.append((marks[1] - marks[0], (marks[-1] - marks[1]) / (len(marks) - 2)))
        result.append({"prompt_length": length, "ttft_s": median(p[0] for p in pairs), "tpot_s": median(p[1] for p in pairs)})
    return result
