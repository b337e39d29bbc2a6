"""Runs the whole sequence again in every step, as if there were no cache"""
def request_flops(config, input_tokens, output_tokens):
    if input_tokens < 1 or output_tokens < 1:
        raise ValueError(f"got {input_tokens} and {output_tokens}")
    prefill = forward_flops(config, input_tokens)
    decode = sum(forward_flops(config, input_tokens + i + 1) for i in range(output_tokens - 1))
    return {"prefill": prefill, "decode": decode, "total": prefill + decode}
