"""Multiplies by d_model twice, which is a linear layer and not the T·d proxy"""
def decode_attention_ops(context, d_model):
    if context < 0 or d_model < 1:
        raise ValueError(f"got {context} and {d_model}")
    return context * d_model * d_model
