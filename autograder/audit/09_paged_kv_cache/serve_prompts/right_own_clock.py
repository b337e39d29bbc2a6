"""Measures the first token by its own clock."""
def serve_prompts(model, allocator, prompts, max_tokens, block_size):
    import time

    engine = Engine(model, block_manager=allocator, block_size=block_size)
    result = []
    try:
        for prompt in prompts:
            begin = time.perf_counter()
            first, before = None, engine.stats.num_computed_tokens
            seq = engine.add(prompt, SamplingParams(max_tokens=max_tokens))
            while not seq.is_finished:
                engine.step()
                if first is None and seq.output_token_ids:
                    first = time.perf_counter() - begin
            after = engine.stats.num_computed_tokens
            result.append({"output": list(seq.output_token_ids), "computed": after - before, "ttft_s": first})
        return result
    finally:
        cache = engine.scheduler.prefix_cache
        cache.evict(allocator.num_blocks)
