"""Forgets the context: every decode step costs as much as a first token"""
def request_flops(config, input_tokens, output_tokens):
    if input_tokens < 1 or output_tokens < 1:
        raise ValueError(f"got {input_tokens} and {output_tokens}")
    prefill = forward_flops(config, input_tokens)
    decode = sum(forward_flops(config, 1) for _ in range(output_tokens - 1))
    return {"prefill": prefill, "decode": decode, "total": prefill + decode}
