"""Accepts a negative context"""
def decode_attention_ops(context, d_model):
    return context * d_model
