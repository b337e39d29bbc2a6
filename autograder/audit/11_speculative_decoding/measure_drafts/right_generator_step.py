"""Drives the engine step by step."""
def measure_drafts(model, drafts, prompts, max_tokens):
    if len(prompts) == 0 or max_tokens <= 0:
        raise ValueError("nothing to measure")
    table, plain = {}, []
    for name, draft in [(None, None), *drafts.items()]:
        engine = Engine(model, prefix_caching=False, draft=draft)
        texts = []
        for prompt in prompts:
            seq = engine.add_request(prompt, SamplingParams(max_tokens=max_tokens))
            while engine.has_unfinished:
                engine.step()
            texts.append(list(seq.output_token_ids))
        if draft is None:
            plain = texts
            continue
        runner = engine.runner
        rate = runner.num_accepted_tokens / max(runner.num_draft_tokens, 1)
        table[name] = dict(acceptance=rate, tokens_per_pass=len(prompts) * max_tokens / runner.num_passes, same_text=texts == plain)
    return table
