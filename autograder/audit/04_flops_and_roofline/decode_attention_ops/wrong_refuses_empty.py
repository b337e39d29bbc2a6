"""Refuses a context of 0, which is the first token of all"""
def decode_attention_ops(context, d_model):
    if context < 1 or d_model < 1:
        raise ValueError(f"got {context} and {d_model}")
    return context * d_model
