"""Returns the popular estimate: one FLOP per multiply-add, a made-up MLP, no LM head"""
def request_flops(config, input_tokens, output_tokens):
    return request_flops_simple(config, input_tokens, output_tokens)
