"""Drives the engine step by step."""
def serve_prompts(model, allocator, prompts, max_tokens, block_size):
    engine = Engine(model, block_manager=allocator, block_size=block_size)
    served = []
    try:
        for prompt in prompts:
            seq = engine.add_request(list(prompt), SamplingParams(max_tokens=max_tokens))
            start, first = engine.stats.num_computed_tokens, None
            output = []
            while engine.has_unfinished:
                for step in engine.step():
                    output.extend(step.new_token_ids)
            served.append(
                {"output": output, "computed": engine.stats.num_computed_tokens - start, "ttft_s": seq.ttft_s}
            )
    except ValueError:
        engine.scheduler.prefix_cache.clear()
        raise
    engine.scheduler.prefix_cache.clear()
    return served
