"""Lets NumPy multiply in 64 bits."""
def decode_attention_ops(context, d_model):
    import numpy as np

    for name, value, least in (("context", context, 0), ("d_model", d_model, 1)):
        if value < least:
            raise ValueError(f"{name} is {value}, expected at least {least}")
    return np.int64(context) * np.int64(d_model)
