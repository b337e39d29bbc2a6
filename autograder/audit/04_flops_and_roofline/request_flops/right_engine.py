"""Asks the engine's own accounting for each pass, in a while loop."""
def request_flops(config, input_tokens, output_tokens):
    from mini_engine import accounting

    for count in (input_tokens, output_tokens):
        if count < 1:
            raise ValueError(f"a request needs tokens, got {count}")
    parts = {"prefill": accounting.forward_flops(config, input_tokens), "decode": 0}
    cached = input_tokens
    while cached < input_tokens + output_tokens - 1:
        parts["decode"] += accounting.forward_flops(config, 1, cached)
        cached += 1
    return {**parts, "total": sum(parts.values())}
