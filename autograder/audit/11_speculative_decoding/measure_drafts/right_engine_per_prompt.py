"""A fresh engine for every prompt."""
def measure_drafts(model, drafts, prompts, max_tokens):
    if not prompts or max_tokens < 1:
        raise ValueError(f"{len(prompts)} prompts, {max_tokens} tokens")
    params = SamplingParams(max_tokens=max_tokens)
    plain = [Engine(model, prefix_caching=False).generate([p], params)[0].output_token_ids for p in prompts]
    result = {}
    for name in drafts:
        drafted = accepted = passes = tokens = 0
        same = True
        for prompt, want in zip(prompts, plain):
            engine = Engine(model, draft=drafts[name], prefix_caching=False)
            got = engine.generate([prompt], params)[0].output_token_ids
            drafted += engine.runner.num_draft_tokens
            accepted += engine.runner.num_accepted_tokens
            passes += engine.runner.num_passes
            tokens += len(got)
            same = same and got == want
        result[name] = {"acceptance": accepted / drafted if drafted else 0.0, "tokens_per_pass": tokens / passes, "same_text": same}
    return result
