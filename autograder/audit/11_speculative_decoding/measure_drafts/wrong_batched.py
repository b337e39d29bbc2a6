"""Serves all prompts at once, so a pass serves several."""
def measure_drafts(model, drafts, prompts, max_tokens):
    """For each draft: {"acceptance", "tokens_per_pass", "same_text"}, from greedy runs of the engine.

    model: a Llama. drafts: {name: object with propose and release}. prompts: lists of ids, at least one. max_tokens:
    new tokens for each, 1 or more. Raises ValueError for no prompts or max_tokens below 1.
    """
    if not prompts:
        raise ValueError("nothing to measure: no prompts")

    def serve(draft):
        engine = Engine(model, draft=draft)
        params = SamplingParams(max_tokens=max_tokens)
        return engine.runner, [seq.output_token_ids for seq in engine.generate(prompts, params)]

    plain = serve(None)[1]
    results = {}
    for name, draft in drafts.items():
        counts, texts = serve(draft)
        results[name] = {
            "acceptance": counts.num_accepted_tokens / counts.num_draft_tokens if counts.num_draft_tokens else 0.0,
            "tokens_per_pass": sum(len(text) for text in texts) / counts.num_passes,
            "same_text": texts == plain,
        }
    return results
