"""Keeps the context at the prompt length in every step"""
def request_flops(config, input_tokens, output_tokens):
    if input_tokens < 1 or output_tokens < 1:
        raise ValueError(f"got {input_tokens} and {output_tokens}")
    prefill = forward_flops(config, input_tokens)
    decode = (output_tokens - 1) * forward_flops(config, 1, input_tokens)
    return {"prefill": prefill, "decode": decode, "total": prefill + decode}
