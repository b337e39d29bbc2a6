"""Runs one decode step per output token although the prefill gives the first"""
def request_flops(config, input_tokens, output_tokens):
    if input_tokens < 1 or output_tokens < 1:
        raise ValueError(f"got {input_tokens} and {output_tokens}")
    prefill = forward_flops(config, input_tokens)
    decode = sum(forward_flops(config, 1, input_tokens + i) for i in range(output_tokens))
    return {"prefill": prefill, "decode": decode, "total": prefill + decode}
