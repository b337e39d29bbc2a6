"""Adds up one dot product per cached key."""
def decode_attention_ops(context, d_model):
    if not (context >= 0 and d_model >= 1):
        raise ValueError("sizes make no sense: " + repr((context, d_model)))
    return sum(d_model for _key in range(context))
