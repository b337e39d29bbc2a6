"""Makes a new engine for every prompt: nothing is ever found again."""
def serve_prompts(model, allocator, prompts, max_tokens, block_size):
    engine = Engine(model, block_manager=allocator, block_size=block_size)
    params = SamplingParams(max_tokens=max_tokens)
    served = []
    try:
        for prompt in prompts:
            engine.scheduler.prefix_cache.clear()
            engine = Engine(model, block_manager=allocator, block_size=block_size)
            before = engine.stats.num_computed_tokens
            (sequence,) = engine.generate([prompt], params)
            computed = engine.stats.num_computed_tokens - before
            served.append({"output": sequence.output_token_ids, "computed": computed, "ttft_s": sequence.ttft_s})
    finally:
        engine.scheduler.prefix_cache.clear()
    return served
