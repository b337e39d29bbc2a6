"""Takes decode as the difference of two passes without a cache."""
def request_flops(config, input_tokens, output_tokens):
    if input_tokens < 1 or output_tokens < 1:
        raise ValueError(f"got {input_tokens} and {output_tokens}")
    prefill = forward_flops(config, input_tokens)
    total = forward_flops(config, input_tokens + output_tokens - 1)
    return dict(total=total, prefill=prefill, decode=total - prefill)
