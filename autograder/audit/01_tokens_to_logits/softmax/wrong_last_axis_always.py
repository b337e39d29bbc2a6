"""ignores its argument axis and always takes the last one"""
import numpy as np


def softmax(logits, axis=-1):
    z = np.asarray(logits)
    e = np.exp(z - z.max(axis=-1, keepdims=True))
    return e / e.sum(axis=-1, keepdims=True)
