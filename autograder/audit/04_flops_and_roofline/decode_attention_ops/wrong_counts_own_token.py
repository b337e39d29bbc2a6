"""Adds the new token to the context although context already counts every token so far"""
def decode_attention_ops(context, d_model):
    if context < 0 or d_model < 1:
        raise ValueError(f"got {context} and {d_model}")
    return (context + 1) * d_model
