"""Returns the prompt together with the output."""
def serve_prompts(model, allocator, prompts, max_tokens, block_size):
    engine = Engine(model, block_manager=allocator, block_size=block_size)
    params = SamplingParams(max_tokens=max_tokens)
    served = []
    try:
        for prompt in prompts:
            before = engine.stats.num_computed_tokens
            (sequence,) = engine.generate([prompt], params)
            computed = engine.stats.num_computed_tokens - before
            served.append({"output": list(prompt) + sequence.output_token_ids, "computed": computed, "ttft_s": sequence.ttft_s})
    finally:
        engine.scheduler.prefix_cache.clear()
    return served
